/** The file in which a task tells its progress, in place of which it makes something else: against the process that reads it again and again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskResult } from '../../../src/index.ts';
import { runCli, type StartedCli, startCli } from '../../support/cli/run-cli.ts';
import { compileProbes } from '../../support/programs/probe-image.ts';
import { scaled } from '../../support/timing/time-scale.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'what a task writes';
const PLACE = '/run/stackshim/progress';
/** How long a script may take to read the file. */
const READ_MS = 2_000;
/** How long a task of two seconds may take, its removal included. */
const PATIENCE_MS = scaled(15_000);
const MOST_MS = 4 * PATIENCE_MS;

interface Attack {
  readonly name: string;
  readonly tries: string;
  readonly stoppedBy: string;
  /** A line of shell in the task, in the folder of the file; `$SECRET` names a file of the host. Says `tried`, and goes on. */
  readonly program: string;
}

const WAIT = '{ echo tried; exec sleep 3600; }';

const attacks: readonly Attack[] = [
  {
    name: 'progress: a link',
    tries: 'puts a link to a file of the host in the place of its progress',
    stoppedBy: 'openat2 with RESOLVE_NO_SYMLINKS, on a descriptor of the folder',
    program: `rm text; ln -s "$SECRET" text; ${WAIT}`,
  },
  {
    name: 'progress: a named pipe',
    tries: 'puts a named pipe that nobody writes to in the place of its progress',
    stoppedBy: 'the file is opened with O_NONBLOCK, and must be a regular file',
    program: `rm text; mkfifo text; ${WAIT}`,
  },
  {
    name: 'progress: a lease',
    tries: 'takes a lease of its progress, for whose end whoever opens the file must wait',
    stoppedBy: 'the file is opened with O_NONBLOCK',
    program: 'exec /task/probe lease text',
  },
  {
    name: 'progress: a folder that stays locked',
    tries:
      'removes the file, lists the folder into memory that waits for its own FUSE filesystem, and makes a new file: the kernel lets nobody look for a name there',
    stoppedBy: 'openat2 with RESOLVE_CACHED never takes the lock of the folder',
    program: `rm text; FOLDER=${PLACE} exec /task/probe fuse-hang listing`,
  },
];

interface Prepared {
  readonly task: StartedCli;
  readonly resultFile: string;
}

interface TaskOptions extends Attack {
  readonly timeout: string;
}

/** Ends the task, if it still runs. */
const killTask = (env: Readonly<Record<string, string>>) =>
  runCli(['kill', '--stop-timeout', '0', 'teller'], { env });

/** A task that has tried it. */
async function startTask(
  { folder, secret, installation, defer }: HostProbeScene,
  { program, timeout }: TaskOptions,
): Promise<Prepared> {
  const code = join(folder, 'code');
  const [secretFile, resultFile] = [join(folder, 'secret'), join(folder, 'result.json')];
  mkdirSync(code);
  compileProbes(join(code, 'probe'));
  writeFileSync(secretFile, secret, { mode: 0o600 });
  const { env, layout } = installation;
  const policy = { allow: { bundles: ['default', 'fuse'] } };
  writeFileSync(layout.policyFile, JSON.stringify(policy), { mode: 0o644 });
  defer(() => rmSync(layout.policyFile));
  const limits = ['--timeout', timeout, '--stop-timeout', '0', '--bundle', 'fuse'];
  const given = ['--name', 'teller', '--code', code, '--result', resultFile];
  const command = ['sh', '-c', `export SECRET=${secretFile}; cd ${PLACE}; ${program}`];
  const run = ['run', ...limits, ...given, 'busybox', ...command];
  const task = startCli(run, { env });
  defer(async () => {
    await killTask(env);
    await task.ended;
  });
  await task.printed('tried');
  return { task, resultFile };
}

/** Whether the owner of the task learns the secret, or cannot end the task when its time is over. */
async function attack(scene: HostProbeScene, what: Attack): Promise<ProbeVerdict> {
  const { task, resultFile } = await startTask(scene, { ...what, timeout: '2s' });
  const late = new Promise<undefined>((resolve) =>
    setTimeout(() => resolve(undefined), PATIENCE_MS),
  );
  const ended = await Promise.race([task.ended, late]);
  if (ended === undefined) return 'through';
  const { progress, verdict }: TaskResult = JSON.parse(readFileSync(resultFile, 'utf8'));
  return toVerdict(verdict !== 'timed_out' || (progress ?? '').includes(scene.secret));
}

/** The same judgement of a script that reads the file by its path. */
async function prove(scene: HostProbeScene, what: Attack): Promise<ProbeVerdict> {
  await startTask(scene, { ...what, timeout: '1h' });
  const { env } = scene.installation;
  const pid = await waitUntil(async () => {
    const { stdout } = await runCli(['ps', '--json'], { env });
    return JSON.parse(stdout).tasks[0]?.pid as number | undefined;
  });
  const reader = spawn('cat', [`/proc/${pid}/root${PLACE}/text`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let text = '';
  reader.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = once(reader, 'close').then(() => true);
  scene.defer(async () => {
    reader.kill('SIGKILL');
    // In the kernel, the reader waits for the task.
    await killTask(env);
    await ended;
  });
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), READ_MS));
  return toVerdict(!(await Promise.race([ended, late])) || text.includes(scene.secret));
}

export const progressProbes = attacks.map((what): HostProbe => {
  const { name, tries, stoppedBy } = what;
  return {
    ...{ name, group, tries, stoppedBy, timeoutMs: MOST_MS },
    shownOn: 'a script that reads the file by its path',
    attack: (scene) => attack(scene, what),
    proof: (scene) => prove(scene, what),
  };
});
