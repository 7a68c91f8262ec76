/** Changes to a file while root writes it: its folder is swapped, or another process reads along. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
} from 'node:fs';
import { runCli, startCli } from '../../support/cli/run-cli.ts';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import {
  makeForeignFolder,
  makeOpenFolder,
  NAIVE_INTO,
  NAIVE_REPLACE,
  plantLink,
  runNaive,
} from '../support/host-scene.ts';
import { toVerdict } from '../support/probe.ts';

/** Replaces the result's folder by a link to a folder of root. */
function swapFolder(scene: HostProbeScene, folder: string): string {
  const kept = `${scene.folder}/kept`;
  mkdirSync(kept);
  renameSync(folder, `${folder}.away`);
  plantLink(kept, folder);
  return `${kept}/victim`;
}

const swapped: HostProbe = {
  name: 'the folder of a result swapped while the task runs',
  group: 'files that root writes',
  tries: 'once the task runs, its result’s folder becomes a link to a folder of root',
  stoppedBy:
    'the folder is opened once, before the task is started, and written to by that descriptor',
  shownOn: 'a script that writes beside the path and renames',
  async attack(scene) {
    const folder = makeForeignFolder(scene, 'out');
    const args = [
      '--result',
      `${folder}/victim`,
      'busybox',
      'sh',
      '-c',
      'echo ready; exec sleep 60',
    ];
    const task = startCli(['run', ...args], { env: scene.installation.env });
    await task.printed('ready');
    const victim = swapFolder(scene, folder);
    task.child.kill('SIGTERM');
    await task.ended;
    const isThrough = existsSync(victim);
    if (!isThrough && !existsSync(`${folder}.away/victim`)) throw new Error('no result is written');
    return toVerdict(isThrough);
  },
  async proof(scene) {
    const folder = makeForeignFolder(scene, 'out');
    const naive = `trap : TERM; echo ready; read _; ${NAIVE_REPLACE}`;
    const script = spawn('sh', ['-c', naive, 'sh', `${folder}/victim`]);
    await once(script.stdout, 'data');
    const victim = swapFolder(scene, folder);
    script.stdin.end('go\n');
    await once(script, 'close');
    return toVerdict(existsSync(victim));
  },
};

const overheard: HostProbe = {
  name: 'a FIFO of another user in the place of a result',
  group: 'files that root writes',
  tries: 'a user puts a FIFO where a result is to be written, and reads the record',
  stoppedBy: 'a FIFO or device of another user is refused where that user could have put it there',
  shownOn: 'a script that opens the path and writes',
  attack: (scene) =>
    overhear(scene, async (path) => {
      await runCli(['run', '--result', path, 'busybox', 'true'], scene.installation);
    }),
  proof: (scene) =>
    overhear(scene, (path) => {
      runNaive(NAIVE_INTO, [path]);
      return Promise.resolve();
    }),
};

async function overhear(scene: HostProbeScene, write: (path: string) => Promise<void>) {
  const path = `${makeOpenFolder(scene, 'tmp')}/result`;
  execFileSync('mkfifo', [path]);
  chownSync(path, STRANGER_ID, STRANGER_ID);
  // Open for reading, so that no writer waits; the data stays in the FIFO.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    await write(path);
    return toVerdict(readSync(reader, Buffer.alloc(1)) > 0);
  } finally {
    closeSync(reader);
  }
}

export const changingFileProbes: readonly HostProbe[] = [swapped, overheard];
