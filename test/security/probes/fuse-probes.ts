/** Filesystems that a task serves and does not answer for: against programs that read /proc, and that end the task. */
import { existsSync } from 'node:fs';
import { gets, KILLED_MS, outlivesKill, releaseTraps } from '../support/held-up.ts';
import type { Probe, ProbeAttempt } from '../support/probe.ts';
import type { ProbeScene } from '../support/probe-scene.ts';

const group = 'devices and rights';
const task = { fuse: true } as const;
const allowFuse = (scene: ProbeScene) =>
  scene.setPolicy({ allow: { bundles: ['default', 'fuse'] } });

/** The runtime was told to end it, and it still runs. */
const isLeft = ({ pid }: ProbeAttempt) => pid !== undefined && existsSync(`/proc/${pid}`);

/** A container whose keeper kills its first process and waits. Released at once: until then nobody on the host can read its /proc entries. */
async function holdsKeeperUp({ place, pid }: ProbeAttempt): Promise<boolean> {
  if (place === 'stackshim' || pid === undefined) return false;
  const outlives = await outlivesKill(pid);
  releaseTraps();
  return outlives;
}

/** A container whose keeper reads its /proc entries. */
const holdsReaderUp =
  (...entries: readonly string[]) =>
  ({ place, pid }: ProbeAttempt): boolean => {
    if (place === 'stackshim' || pid === undefined) return false;
    const isHeldUp = entries.some((entry) => !gets(`/proc/${pid}/${entry}`));
    releaseTraps();
    return isHeldUp;
  };

const trap = (place: string) => `exec probe fuse-hang ${place}`;
const KILLED = 'nothing asks the process; its filesystems are ended with it';

const probes: readonly Probe[] = [
  {
    name: 'FUSE: held up in exec',
    group,
    tries:
      'changes a mapped page of its own filesystem, which stores nothing, and becomes another program',
    stoppedBy: KILLED,
    task,
    prepare: allowFuse,
    program: trap('exec'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: held up in its exit',
    group,
    tries: 'ends with a changed page of its own filesystem, which stores nothing',
    stoppedBy: KILLED,
    task,
    prepare: allowFuse,
    program: trap('exit'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: held up while it closes a file',
    group,
    tries: 'ends with a file open whose server answers to no close',
    stoppedBy: KILLED,
    task,
    prepare: allowFuse,
    program: trap('close'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: a lock on its memory',
    group,
    tries:
      'unmaps a page that waits for its own filesystem: whoever reads its memory map waits too',
    stoppedBy: 'root reads no `/proc/PID/maps`; its filesystems are ended with it',
    task,
    prepare: allowFuse,
    program: trap('unmap'),
    judge: holdsReaderUp('maps'),
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: a folder that cannot be looked at',
    group,
    tries: 'works in a folder of its own filesystem, which tells nothing of it',
    stoppedBy: 'root looks at no folder of a running process',
    task,
    prepare: allowFuse,
    program: trap('folder'),
    judge: holdsReaderUp('cwd/.'),
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: a server that is stopped',
    group,
    tries: 'as in exec, with a server that has stopped itself (`SIGSTOP`)',
    stoppedBy: KILLED,
    task,
    prepare: allowFuse,
    program: trap('exec stopped'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: another process that keeps the device',
    group,
    tries:
      'as in exec, with forks in a session of their own that have `/dev/fuse` open and mind no signal',
    stoppedBy: 'KILL for every process of the cgroup',
    task,
    prepare: allowFuse,
    program: trap('exec shared'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: a device that another has',
    group,
    tries: 'as in exec, and gives its `/dev/fuse` to a process of the host, which keeps it',
    stoppedBy: KILLED,
    task,
    async prepare(scene) {
      allowFuse(scene);
      const folder = scene.bind('shared', '/shared');
      await scene.host([scene.image.program, 'keep', `${folder}/socket`]);
    },
    program: trap('exec /shared/socket'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
  {
    name: 'FUSE: a filesystem that is no longer mounted',
    group,
    tries: 'as in its exit, when the filesystem was detached before: no mount table lists it',
    stoppedBy: KILLED,
    task,
    prepare: allowFuse,
    program: trap('exit detached'),
    judge: holdsKeeperUp,
    judgeAfter: isLeft,
  },
];

export const fuseProbes = probes.map((probe): Probe => ({ ...probe, timeoutMs: KILLED_MS }));
