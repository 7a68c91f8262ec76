/** Attacks on root by a task in which root executes a command: the task's processes see the command and everything that it opens. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runtimeCopiesDir } from '../../../src/core/layout.ts';
import { runCli, STACKSHIM, startCli } from '../../support/cli/run-cli.ts';
import { findByArguments } from '../../support/host/look-at-processes.ts';
import { writePolicy } from '../../support/installation/write-policy.ts';
import { compileProbes } from '../../support/programs/probe-image.ts';
import { watchProgram } from '../../support/programs/watched-program.ts';
import { realRunc } from '../../support/runtimes/fake-runtime.ts';
import { scaled } from '../../support/timing/time-scale.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'commands in a task';
/** stackshim gives up a start after half a minute. */
const GIVEN_UP_MS = scaled(90_000);
/** After this time, a program without a limit counts as held up. */
const HELD_UP_MS = scaled(3_000);
const POLL_MS = 20;
const NAIVE = '`nsenter` into the task’s mount and pid namespaces';

interface HostileTask {
  readonly id: string;
  /** Of its first process, on the host. */
  readonly pid: number;
}

let count = 0;

/** A task that prints `tried` and stays. The probe program is at /task/probe. */
async function startTask(scene: HostProbeScene, script: string): Promise<HostileTask> {
  const { installation, folder, defer } = scene;
  const { env, layout } = installation;
  const code = join(folder, 'code');
  mkdirSync(code);
  compileProbes(join(code, 'probe'));
  writePolicy(layout, { allow: { bundles: ['default', 'fuse'] } });
  defer(() => writePolicy(layout, {}));
  count += 1;
  const id = `hostile-${count}`;
  const given = ['--name', id, '--bundle', 'fuse', '--code', code, 'busybox', 'sh', '-c', script];
  const task = startCli(['run', ...given], { env });
  defer(async () => {
    await runCli(['kill', '--stop-timeout', '0', id], { env });
    await task.ended;
  });
  await task.printed('tried');
  const { stdout } = await runCli(['ps', '--json'], { env });
  const { tasks } = JSON.parse(stdout);
  return { id, pid: tasks.find((one: { id: string }) => one.id === id).pid };
}

const STAY = 'echo; echo tried; while :; do sleep 1; done';

/** Enters as a careless program would: as root of the host. */
const enter = ({ pid }: HostileTask, ...command: readonly string[]) => [
  ...['nsenter', '--target', String(pid), '--mount', '--pid', '--'],
  ...command,
];
/** The same as a user of the task: a filesystem of the task does not answer to others. */
const enterAsUser = (task: HostileTask, ...command: readonly string[]) => {
  const [nsenter = '', ...rest] = enter(task, ...command);
  return [nsenter, '--user', ...rest];
};

/** Whether the program does not end in a reasonable time. */
async function isHeldUp(argv: readonly string[]): Promise<ProbeVerdict> {
  const program = watchProgram(argv);
  const timer = new Promise((resolve) => setTimeout(resolve, HELD_UP_MS));
  await Promise.race([program.ended, timer]);
  return toVerdict(!program.hasEnded());
}

/** Whether a command that stackshim executes ends. The task lives as long, so nothing else ends the command. */
async function ends(
  { installation }: HostProbeScene,
  args: readonly string[],
): Promise<ProbeVerdict> {
  const { status } = await runCli(['exec', ...args], { env: installation.env });
  return toVerdict(status === null);
}

interface HoldingUp extends Pick<HostProbe, 'name' | 'tries' | 'stoppedBy'> {
  /** Of the task. */
  readonly script: string;
  readonly options?: readonly string[];
  readonly command: readonly string[];
  /** What a careless program does in the task. */
  readonly careless?: readonly string[];
  readonly asUser?: true;
}

const toHoldingUp = ({
  script,
  options = [],
  command,
  careless = command,
  asUser,
  ...described
}: HoldingUp): HostProbe => ({
  ...described,
  group,
  shownOn: NAIVE,
  timeoutMs: GIVEN_UP_MS,
  async attack(scene) {
    const { id } = await startTask(scene, script);
    return await ends(scene, [...options, id, ...command]);
  },
  async proof(scene) {
    const task = await startTask(scene, script);
    return await isHeldUp((asUser ? enterAsUser : enter)(task, ...careless));
  },
});

const LIMIT = 'a start has half a minute; then the runtime and what it started are killed';

const holdingUp: readonly HoldingUp[] = [
  {
    name: 'exec: a command that a filesystem of the task holds up',
    tries: 'serves a filesystem, which does not answer for the program that root executes',
    stoppedBy: LIMIT,
    script: 'exec /task/probe fuse-hang folder',
    command: ['/tmp/trap/file'],
    careless: ['stat', '/tmp/trap/file'],
    asUser: true,
  },
  {
    name: 'exec: a FIFO in place of its terminals',
    tries: 'replaces `/dev/ptmx`, which root opens for a command with a terminal',
    stoppedBy: 'the runtime opens a terminal and nothing else; a start has half a minute',
    script: `rm /dev/ptmx; mkfifo /dev/ptmx; ${STAY}`,
    options: ['-t'],
    command: ['true'],
    careless: ['cat', '/dev/ptmx'],
  },
  {
    name: 'exec: a FIFO in place of its users',
    tries: 'replaces `/etc/passwd`, in which root looks up the user of a command',
    stoppedBy: 'users are looked up in the image',
    script: `rm /etc/passwd; mkfifo /etc/passwd; ${STAY}`,
    options: ['-u', 'user'],
    command: ['true'],
    careless: ['cat', '/etc/passwd'],
  },
];

/** Reads a secret of the host through a descriptor of the host's root folder, which the caller left open. */
async function readBeyond(
  { folder, secret, defer }: HostProbeScene,
  argvOf: (command: readonly string[]) => readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProbeVerdict> {
  const path = join(folder, 'secret');
  writeFileSync(path, secret, { mode: 0o644 });
  const root = openSync('/', 'r');
  defer(() => closeSync(root));
  const program = watchProgram(argvOf(['/task/probe', 'read-beyond', path]), { env, extra: root });
  await program.ended;
  return toVerdict(program.stdout().includes(secret));
}

const descriptorProbe: HostProbe = {
  name: 'exec: a descriptor that its caller left open',
  group,
  tries: 'looks for a file of the host below every descriptor that the command has',
  stoppedBy: 'the runtime gets the command’s three streams, and no other descriptor',
  shownOn: NAIVE,
  async attack(scene) {
    const { id } = await startTask(scene, STAY);
    const { env } = scene.installation;
    return await readBeyond(scene, (command) => [STACKSHIM, 'exec', id, ...command], env);
  },
  async proof(scene) {
    const task = await startTask(scene, STAY);
    return await readBeyond(scene, (command) => enter(task, ...command));
  },
};

/** Whether a command that ignores signals is left when the process that executed it was killed. */
async function isLeft(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const mark = `left-${Date.now()}`;
  const script = `trap "" HUP INT TERM; echo; echo tried; sleep 1000; : ${mark}`;
  const program = watchProgram([...argv, 'sh', '-c', script], { env });
  await program.tried;
  const isThere = () =>
    findByArguments((args) => args[0] === 'sh' && args[2] === script).length > 0;
  if (!isThere()) throw new Error('the command does not run');
  program.signal('SIGKILL');
  const endsAt = performance.now() + HELD_UP_MS;
  while (isThere() && performance.now() < endsAt) await delay(POLL_MS);
  return toVerdict(isThere());
}

const killedProbe: HostProbe = {
  name: 'exec: left behind when its caller is killed',
  group,
  tries: 'ignores every signal, and goes on when the program that executed it was killed',
  stoppedBy: 'a guard, which kills the command when stackshim has died',
  shownOn: NAIVE,
  timeoutMs: GIVEN_UP_MS,
  async attack(scene) {
    const { id } = await startTask(scene, STAY);
    return await isLeft([STACKSHIM, 'exec', id], scene.installation.env);
  },
  async proof(scene) {
    return await isLeft(enter(await startTask(scene, STAY)));
  },
};

const isOverwritten = (path: string) =>
  existsSync(path) && readFileSync(path).subarray(0, 11).toString() === 'overwritten';

/** Waits for a program outside to run its script, ends the program and overwrites its file. */
const overwriteLoop = (probe: string, inodes: readonly number[]) =>
  `echo; echo tried; while :; do for inode in ${inodes.join(' ')}; do ${probe} overwrite-exe $inode && exit; done; done`;

const overwriteProbe: HostProbe = {
  name: 'exec: be run in the runtime’s place',
  group,
  tries:
    'names `/proc/self/exe` as the interpreter of the program that root executes, and overwrites the program that then runs (CVE-2019-5736)',
  stoppedBy: 'the runtime runs from a sealed or read-only copy; the user namespace',
  shownOn: 'a program that enters a container of root without a user namespace',
  timeoutMs: GIVEN_UP_MS,
  async attack(scene) {
    const { layout, env } = scene.installation;
    const copies = runtimeCopiesDir(layout);
    const programs = [
      realRunc(layout),
      ...(existsSync(copies) ? readdirSync(copies) : []).map((name) => `${copies}/${name}/runtime`),
    ].filter(existsSync);
    const inodes = programs.map((path) => statSync(path).ino);
    const make = 'echo "#!/proc/self/exe" > /tmp/victim; chmod 755 /tmp/victim';
    const { id } = await startTask(scene, `${make}; ${overwriteLoop('/task/probe', inodes)}`);
    for (let round = 0; round < 5; round += 1) await runCli(['exec', id, '/tmp/victim'], { env });
    return toVerdict(programs.some(isOverwritten));
  },
  async proof(scene) {
    const { folder, defer } = scene;
    const [bait, probe] = [join(folder, 'bait'), join(folder, 'probe')];
    compileProbes(probe);
    copyFileSync(probe, bait);
    const script = overwriteLoop(probe, [statSync(bait).ino]);
    const container = watchProgram([
      ...['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
      ...['sh', '-c', script],
    ]);
    defer(async () => {
      container.signal('SIGKILL');
      await container.ended;
    });
    await container.tried;
    const [pid = 0] = findByArguments((args) => args[0] === 'sh' && args[2] === script);
    // It runs itself once more inside, as runtimes do.
    await watchProgram(enter({ id: '', pid }, bait, 'wait')).ended;
    await waitUntil(() => isOverwritten(bait)).catch(() => undefined);
    return toVerdict(isOverwritten(bait));
  },
};

export const execProbes: readonly HostProbe[] = [
  ...holdingUp.map(toHoldingUp),
  descriptorProbe,
  killedProbe,
  overwriteProbe,
];
