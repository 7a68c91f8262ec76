/** From measurements to the table: each figure beside its promise. */
import type { CachedBuild } from './cached-build.ts';
import type { DiskFigures } from './disk.ts';
import type { ExecTimes } from './exec-times.ts';
import type { HostProgram, LoopDelay } from './host-program.ts';
import type { Imports } from './import.ts';
import { type IntakeFigures, toIntakeFigures } from './intake.ts';
import type { IsolationCost } from './isolation-cost.ts';
import { LARGE_MB, type LiveHeap, SMALL_MB } from './live-heap.ts';
import { type QueueJobs, toQueueFigures } from './queue-jobs.ts';
import type { ReapedOrphans } from './reap-orphans.ts';
import type { SleepingTasks } from './sleeping-tasks.ts';
import type { StackFlips } from './stack-flips.ts';
import type { StartTimes } from './start-times.ts';
import type { Summary } from './statistics.ts';
import type { TakenFiles } from './taken-files.ts';
import type { Teardown } from './teardown.ts';

export interface Measured {
  readonly stack: string;
  readonly startTimes: StartTimes;
  readonly execTimes: ExecTimes;
  readonly isolation: IsolationCost;
  readonly cachedBuild: CachedBuild;
  readonly sleeping: SleepingTasks;
  readonly hostProgram: HostProgram;
  readonly liveHeap: LiveHeap;
  readonly reaped: ReapedOrphans;
  readonly teardown: Teardown;
  readonly takenFiles: TakenFiles;
  readonly flips: StackFlips;
  readonly disk: DiskFigures;
  readonly imports: Imports;
  readonly intake: readonly IntakeFigures[];
  readonly queueJobs: readonly QueueJobs[];
}

export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly target: string;
  /** Null if nothing was promised. */
  readonly met: boolean | null;
}

const ms = (value: number) => `${value.toFixed(1)} ms`;

export function toFigures({
  stack,
  startTimes,
  execTimes,
  isolation,
  cachedBuild,
  sleeping,
  hostProgram,
  liveHeap,
  reaped,
  teardown,
  takenFiles,
  flips,
  disk,
  imports,
  intake,
  queueJobs,
}: Measured): readonly Figure[] {
  const { bare, library, executable } = startTimes;
  const ratio = library.median / bare.median;
  const extra = executable.median - bare.median;
  return [
    told(`runc run, rootfs prepared: /bin/true in ${stack}`, ms(bare.median)),
    told('library: runTask, removal included', ms(library.median)),
    {
      name: '  over bare runc',
      value: `x ${ratio.toFixed(2)}`,
      target: '<= x 1.25',
      met: ratio <= 1.25,
    },
    told('executable: stackshim run', ms(executable.median)),
    { name: '  over bare runc', value: `+ ${ms(extra)}`, target: '<= + 20 ms', met: extra <= 20 },
    ...toExecFigures(execTimes),
    ...toIsolationFigures(isolation),
    ...toBuildFigures(cachedBuild),
    told(
      `${sleeping.tasks} sleeping tasks: mounts in the host's namespace`,
      `${sleeping.mountsBefore} -> ${sleeping.mountsWhile}`,
    ),
    told('  of which pinned user namespaces of slots', String(sleeping.pinnedNamespaces)),
    told(
      '  event loop held up while they start, p99 and longest',
      `${ms(sleeping.loopDelayMs.p99)}, ${ms(sleeping.loopDelayMs.max)}`,
    ),
    told('  memory of the process per task (PSS)', `${sleeping.ownKibPerTask.toFixed(0)} KiB`),
    told("  memory of the task's own process (PSS)", `${sleeping.taskKibPerTask.toFixed(0)} KiB`),
    {
      name: `  processor time of stats of ${sleeping.stats.tasks}, in a second`,
      value: ms(sleeping.stats.cpuMs),
      target: '<= 50 ms',
      // The promise is for 200 tasks.
      met: sleeping.stats.cpuMs <= 50 * Math.max(1, sleeping.stats.tasks / 200),
    },
    {
      name: '  all removed',
      value: String(sleeping.allRemoved),
      target: 'true',
      met: sleeping.allRemoved,
    },
    ...toHostProgramFigures(hostProgram, liveHeap),
    ...toReapFigures(reaped),
    ...toTeardownFigures(teardown),
    ...toTakenFilesFigures(takenFiles),
    ...toFlipFigures(flips),
    ...toDiskFigures(disk),
    ...toImportFigures(imports),
    ...toIntakeFigures(intake),
    ...toQueueFigures(queueJobs),
  ];
}

/** A figure without a target. */
const told = (name: string, value: string): Figure => ({ name, value, target: '', met: null });

function toExecFigures({ bare, library, executable }: ExecTimes): readonly Figure[] {
  const over = (name: string, { median }: Summary): Figure => {
    const ratio = median / bare.median;
    const more = median - bare.median;
    const sign = more < 0 ? '-' : '+';
    return {
      name: `  ${name}, over that`,
      value: `x ${ratio.toFixed(2)}, ${sign} ${Math.abs(more).toFixed(1)} ms`,
      target: '<= x 1.20',
      met: ratio <= 1.2,
    };
  };
  return [
    told('runc exec: /bin/true in a running task', ms(bare.median)),
    over('exec() of the library', library),
    over('stackshim exec', executable),
  ];
}

function toTakenFilesFigures(taken: TakenFiles): readonly Figure[] {
  const { files, fileBytes, copied, library, executable } = taken;
  const over = (name: string, { median }: Summary): Figure => {
    const ratio = median / copied.median;
    const value = `${ms(median)}, x ${ratio.toFixed(2)}`;
    return { name: `  --output, ${name}`, value, target: '<= x 1.30', met: ratio <= 1.3 };
  };
  return [
    {
      name: `cp -a of ${files} files of ${fileBytes / 1024} KiB`,
      value: ms(copied.median),
      target: '',
      met: null,
    },
    over('library', library),
    over('executable', executable),
  ];
}

function toIsolationFigures({ isolated, open }: IsolationCost): readonly Figure[] {
  const cost = isolated.median - open.median;
  const ratio = isolated.median / open.median;
  return [
    {
      name: 'all isolation, over the same task without',
      value: `+ ${ms(cost)}`,
      target: '<= + 6 ms',
      met: cost <= 6,
    },
    { name: '', value: `x ${ratio.toFixed(2)}`, target: '<= x 1.25', met: ratio <= 1.25 },
  ];
}

function toBuildFigures({ files, plain, built }: CachedBuild): readonly Figure[] {
  const added = built.median - plain.median;
  return [
    {
      name: `a task with code of ${files} files`,
      value: ms(plain.median),
      target: '',
      met: null,
    },
    {
      name: '  a build step from the cache adds',
      value: `${added < 0 ? '-' : '+'} ${ms(Math.abs(added))}`,
      target: '<= + 2 ms',
      met: added <= 2,
    },
  ];
}

function toHostProgramFigures(host: HostProgram, { small, large }: LiveHeap): readonly Figure[] {
  const { startDelayMs, serialDelayMs, writeDelayMs, beside, noise } = host;
  const held = (name: string, { p99, max }: LoopDelay, most: number): Figure => ({
    name,
    value: `${ms(p99)}, ${ms(max)}`,
    target: `p99 <= ${most} ms`,
    met: p99 <= most,
  });
  const { descriptors, threads, heapKib } = beside.growth;
  const over = (name: string, one: Summary, other: Summary): Figure => {
    const ratio = one.median / other.median;
    return { name, value: `x ${ratio.toFixed(2)}`, target: '<= x 1.10', met: ratio <= 1.1 };
  };
  return [
    held('event loop held up while 100 tasks start at once, p99 and longest', startDelayMs, 20),
    held('  while 100 tasks run one after another', serialDelayMs, 5),
    held('  while 200 tasks write 5 MB each', writeDelayMs, 20),
    over(`runTask with ${LARGE_MB} MB of live heap, over ${SMALL_MB} MB`, large, small),
    {
      name: `${beside.tasks} tasks beside ${beside.children} children of the program: exits missed`,
      value: String(beside.missedExits + beside.wrongTasks),
      target: '0',
      met: beside.missedExits + beside.wrongTasks === 0,
    },
    {
      name: '  growth of descriptors, threads and heap',
      value: `${descriptors}, ${threads}, ${heapKib} KiB`,
      target: '0, 0, <= 1024 KiB',
      met: descriptors <= 0 && threads <= 0 && heapKib <= 1024,
    },
    over(
      'a task beside one that writes byte by byte, over one that is as busy and writes nothing',
      noise.besideNoise,
      noise.besideBusy,
    ),
    {
      name: '  over alone',
      value: `x ${(noise.besideNoise.median / noise.alone.median).toFixed(2)}`,
      target: '',
      met: null,
    },
  ];
}

function toReapFigures({
  orphans,
  removed,
  noneLeft,
  ms: taken,
}: ReapedOrphans): readonly Figure[] {
  return [
    {
      name: `reap of ${orphans} tasks of a killed worker`,
      value: `${(taken / 1000).toFixed(1)} s`,
      target: '< 5 s',
      met: taken < 5000,
    },
    {
      name: '  found and removed',
      value: String(removed),
      target: String(orphans),
      met: removed === orphans && noneLeft,
    },
  ];
}

function toTeardownFigures({
  files,
  runs,
  syncMaxMs,
  asyncMaxMs,
  allRemoved,
}: Teardown): readonly Figure[] {
  return [
    {
      name: `removal of a task with ${files} files, longest of ${runs}`,
      value: ms(syncMaxMs),
      target: '<= 1000 ms',
      met: syncMaxMs <= 1000,
    },
    {
      name: '  with remove: async, from its end to the result',
      value: ms(asyncMaxMs),
      target: '<= 50 ms',
      met: asyncMaxMs <= 50,
    },
    {
      name: '  all removed',
      value: String(allRemoved),
      target: 'true',
      met: allRemoved,
    },
  ];
}

/** Medians that differ by less count as equal. */
const NOISE = 1.05;

function toFlipFigures({ stacks, revisions, ...times }: StackFlips): readonly Figure[] {
  const { flip, rollback, startAlone, startAmongMany } = times;
  const ratio = startAmongMany.median / startAlone.median;
  const within = (name: string, { median }: typeof flip): Figure => ({
    name,
    value: ms(median),
    target: '< 5 ms',
    met: median < 5,
  });
  return [
    within(`a stack among ${stacks}, of ${revisions} revisions: flip`, flip),
    within('  rollback', rollback),
    { name: '  stackshim run there', value: ms(startAmongMany.median), target: '', met: null },
    {
      name: '  over that of the only stack, of 1 revision',
      value: `x ${ratio.toFixed(2)}`,
      target: `<= x ${NOISE}`,
      met: ratio <= NOISE,
    },
  ];
}

const MANY_STACKS = 20;

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

function toDiskFigures(disk: DiskFigures): readonly Figure[] {
  const { stacks, layerBytes, unpackedBytes, compression } = disk;
  const ratio = layerBytes / unpackedBytes;
  return [
    {
      name: `${stacks} stacks on disk, ${compression}`,
      value: mb(layerBytes),
      target: '',
      met: null,
    },
    {
      name: `  over ${mb(unpackedBytes)}, each image unpacked by itself`,
      value: `x ${ratio.toFixed(2)}`,
      // With few stacks, their base is most of the size.
      target: stacks < MANY_STACKS ? '' : '<= x 0.45',
      met: stacks < MANY_STACKS ? null : ratio <= 0.45,
    },
  ];
}

function toImportFigures(imports: Imports): readonly Figure[] {
  const { archiveBytes, stackshim } = imports;
  const held = (name: 'docker' | 'podman'): Figure => {
    const other = imports[name];
    const title = `  over ${name} load`;
    if (other === null) return { name: title, value: 'not installed', target: '', met: null };
    const ratio = other.median / stackshim.median;
    const value = `${ms(other.median)}, x ${ratio.toFixed(1)} of it`;
    return { name: title, value, target: '>= x 2', met: ratio >= 2 };
  };
  return [
    {
      name: `import of an OCI archive of ${mb(archiveBytes)}`,
      value: ms(stackshim.median),
      target: '',
      met: null,
    },
    held('docker'),
    held('podman'),
  ];
}

export function printFigures(
  figures: readonly Figure[],
  host: Readonly<Record<string, unknown>>,
): void {
  const rows = figures.map(({ name, value, target, met }) => [
    name,
    value,
    target,
    met === null ? '' : met ? 'met' : 'MISSED',
  ]);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '),
  );
  process.stdout.write(`${lines.join('\n')}\n\nmedians; on ${JSON.stringify(host)}\n`);
}
