/** A task's output and streams: their cost and their effects on root outside of the task. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTask } from '../../../src/door/open-stackshim.ts';
import { STACKSHIM } from '../../support/cli/run-cli.ts';
import { ownDevices } from '../../support/host/own-devices.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const group = 'what a task writes';
/** A shell that writes one byte in each call. */
const BYTE_BY_BYTE = 'while :; do printf x; done';
const NOISY_MS = 2_000;

/** Chunks of equal cost, whatever they contain: the writer decides how many there are in a millisecond. */
const areTooMany = (chunks: number, ms: number) => toVerdict(chunks > ms);

async function countChunksOfTask({ installation }: HostProbeScene): Promise<ProbeVerdict> {
  let chunks = 0;
  const command = ['sh', '-c', BYTE_BY_BYTE];
  const limits = { timeout: `${NOISY_MS}ms`, stopTimeout: '0s', outputLimit: '1g' };
  const onEvent = ({ type }: { readonly type: string }) => {
    if (type === 'output') chunks += 1;
  };
  const options = { ...installation.options, onEvent };
  const { usage } = await runTask({ stack: 'busybox', command, ...limits }, options);
  return areTooMany(chunks, usage.wallMs ?? 0);
}

/** Reads all available data whenever there is some. */
async function countChunksOfProgram(): Promise<ProbeVerdict> {
  let chunks = 0;
  const startedAt = performance.now();
  const child = spawn('busybox', ['sh', '-c', BYTE_BY_BYTE], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.stdout.on('data', () => {
    chunks += 1;
  });
  setTimeout(() => child.kill('SIGKILL'), NOISY_MS);
  await once(child, 'close');
  return areTooMany(chunks, performance.now() - startedAt);
}

/** Longer than stackshim waits for a stalled reader, even on a busy machine. */
const PATIENCE_MS = 30_000;
/** Long after the timeout of a second. */
const OUTLIVED_MS = 12_000;

interface Outliving {
  readonly env: NodeJS.ProcessEnv;
  readonly waitMs: number;
}

/** Whether a program still runs long after its timeout because nobody reads its output. */
async function outlivesItsTime(
  { defer }: HostProbeScene,
  [program = '', ...args]: readonly string[],
  { env, waitMs }: Outliving,
): Promise<ProbeVerdict> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const ended = once(child, 'exit');
  defer(async () => {
    if (child.exitCode !== null || child.pid === undefined) return;
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  });
  const late = new Promise((resolve) => setTimeout(resolve, waitMs));
  await Promise.race([ended, late]);
  const isThere = child.exitCode === null && child.signalCode === null;
  child.stdout.destroy();
  return toVerdict(isThere);
}

/** The state of a mount namespace's null device after `call` was made with that device as standard input. */
function changesNullDevice(
  { folder }: HostProbeScene,
  call: string,
  env: object,
): Promise<ProbeVerdict> {
  const script = [
    ownDevices(join(folder, 'dev')),
    `${call} < /dev/null > /dev/null 2>&1`,
    'stat -c %u:%g:%a /dev/null',
  ].join('\n');
  const { stdout } = spawnSync('unshare', ['-m', '--propagation', 'private', 'sh', '-c', script], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return Promise.resolve(toVerdict(stdout.trim() !== '0:0:666'));
}

const MAPPED = [{ containerID: 0, hostID: 1_879_048_192 + 65_536 * 4_089, size: 65_536 }];

/** The bundle of a container in a user namespace. */
function writeBundle(folder: string): string {
  const bundle = join(folder, 'bundle');
  for (const name of ['bin', 'proc']) mkdirSync(join(bundle, 'rootfs', name), { recursive: true });
  copyFileSync('/bin/busybox', join(bundle, 'rootfs/bin/true'));
  const config = {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    process: { args: ['/bin/true'], cwd: '/', user: { uid: 0, gid: 0 } },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: {
      namespaces: ['pid', 'mount', 'user'].map((type) => ({ type })),
      uidMappings: MAPPED,
      gidMappings: MAPPED,
    },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  return bundle;
}

const CRUN = '/usr/bin/crun';

export const outputProbes: readonly HostProbe[] = [
  {
    name: 'output byte by byte',
    group,
    tries: 'writes one byte in each call, so that whoever reads it is called for each',
    stoppedBy:
      'after a small chunk a stream rests for some milliseconds, and what is written meanwhile comes as one',
    shownOn: 'a program that reads whenever there is something',
    attack: countChunksOfTask,
    proof: countChunksOfProgram,
  },
  {
    name: 'output that nobody reads',
    group,
    tries: 'writes without end to a reader that has stopped reading, beyond its timeout',
    stoppedBy: 'a stopped task is not kept by a sink that takes nothing for 10 s',
    shownOn: 'a program with a time limit whose output another passes on',
    attack: (scene) =>
      outlivesItsTime(
        scene,
        ['sh', '-c', `exec ${STACKSHIM} run --timeout 1s --stop-timeout 0 busybox yes 2>&1`],
        { env: scene.installation.env, waitMs: PATIENCE_MS },
      ),
    proof: (scene) =>
      outlivesItsTime(scene, ['sh', '-c', 'timeout -s KILL 1 yes | cat'], {
        env: {},
        waitMs: OUTLIVED_MS,
      }),
    timeoutMs: 2 * PATIENCE_MS,
  },
  {
    name: 'the null device of the host',
    group,
    tries:
      'is started with `/dev/null` as its input by crun, which gives its streams to the user of the task',
    stoppedBy: 'runtimes and tasks are handed a null device of their own',
    shownOn: 'crun alone',
    attack(scene) {
      const { env, layout } = scene.installation;
      writeFileSync(layout.policyFile, JSON.stringify({ allow: { runtimes: ['runc', CRUN] } }), {
        mode: 0o644,
      });
      scene.defer(() => rmSync(layout.policyFile));
      return changesNullDevice(scene, `${STACKSHIM} run --runtime ${CRUN} busybox true`, env);
    },
    proof(scene) {
      const state = join(scene.folder, 'state');
      const call = `${CRUN} --root ${state} run --bundle ${writeBundle(scene.folder)} host-probe`;
      return changesNullDevice(scene, call, {});
    },
  },
];
