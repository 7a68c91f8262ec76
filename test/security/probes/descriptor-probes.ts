/** Descriptors that a task passes on before it ends, and processes that leave its cgroup. */
import { readFileSync } from 'node:fs';
import type { WatchedProgram } from '../../support/programs/watched-program.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const accomplices = new WeakMap<ProbeScene, WatchedProgram>();
const LONG_AFTER_MS = 3_000;

/** A process of the host that accepts descriptors in a folder shared with the task. */
const withAccomplice = (command: 'forge' | 'keep') => async (scene: ProbeScene) => {
  const folder = scene.bind('shared', '/shared');
  accomplices.set(scene, await scene.host([scene.image.program, command, `${folder}/socket`]));
};

/** Someone still reads or waits long after the container has ended. */
async function isHeardStill(_: ProbeAttempt, scene: ProbeScene): Promise<boolean> {
  const accomplice = accomplices.get(scene);
  if (accomplice === undefined) throw new Error('no accomplice');
  const late = new Promise<void>((resolve) => setTimeout(resolve, LONG_AFTER_MS));
  await Promise.race([accomplice.ended, late]);
  const isHeard = !accomplice.hasEnded();
  // The container's own output ends with the container.
  accomplice.signal('SIGKILL');
  await accomplice.ended;
  return isHeard;
}

const giveAway = (fd: number) =>
  `printf '\\ntried\\n'; probe give-descriptor /shared/socket ${fd}; exit 0`;

/** The cgroup of one of its processes in the hierarchy that counts processes. */
function hasLeftItsCgroup({ pid }: ProbeAttempt): boolean {
  const text = pid === undefined ? '' : readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  return /^\d+:(pids|):\/$/m.test(text);
}

export const descriptorProbes: readonly Probe[] = [
  {
    name: 'words after its end',
    group: 'the host',
    tries:
      'gives its standard output to a process of the host, which writes to it when the task has ended',
    stoppedBy: 'a pipe is read no longer than its task lives',
    prepare: withAccomplice('forge'),
    program: giveAway(1),
    judge: isHeardStill,
  },
  {
    name: 'errors after its end',
    group: 'the host',
    tries: 'the same with its standard error',
    stoppedBy: 'a pipe is read no longer than its task lives',
    prepare: withAccomplice('forge'),
    program: giveAway(2),
    judge: isHeardStill,
  },
  {
    name: 'words on its terminal after its end',
    group: 'the host',
    tries: 'the same with its terminal',
    stoppedBy: 'a terminal is read for 100 ms after its task has ended',
    task: { terminal: true },
    prepare: withAccomplice('forge'),
    program: giveAway(1),
    judge: isHeardStill,
  },
  {
    name: 'an end that is withheld',
    group: 'the host',
    tries: 'gives its standard output to a process of the host, which keeps it and so the result',
    stoppedBy: 'nobody waits for the end of a pipe once its task has ended',
    prepare: withAccomplice('keep'),
    program: giveAway(1),
    judge: isHeardStill,
  },
  {
    name: 'FUSE: a cgroup of its own choice',
    group: 'resources',
    tries: 'mounts the cgroups, as it may mount, and moves itself to their root',
    stoppedBy: 'user and cgroup namespace',
    task: { fuse: true },
    prepare: (scene) => scene.setPolicy({ allow: { bundles: ['default', 'fuse'] } }),
    program: [
      'mkdir /tmp/groups',
      'mount -t cgroup -o pids none /tmp/groups || mount -t cgroup2 none /tmp/groups',
      'echo $$ > /tmp/groups/cgroup.procs',
    ].join('\n'),
    judge: hasLeftItsCgroup,
    open: { share: ['cgroup'] },
  },
];
