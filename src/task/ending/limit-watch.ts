/** Watches a running task's cgroup for limits that the kernel does not enforce by itself. Loaded only for tasks with such a limit. */
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { StackshimError } from '../../core/errors.ts';

export type WatchedCause = 'cpu_time_exceeded' | 'oom_killed';

export interface LimitWatchOptions {
  readonly cgroups: Pick<CgroupDriver, 'readCpuMs' | 'readOomKills'>;
  readonly cgroupsPath: string;
  /** Undefined: CPU time is unlimited. */
  readonly cpuTimeMs: number | undefined;
  /** The task's cpu limit and the host's processors bound how soon the time can be used up. */
  readonly cpus: number;
  readonly hostCpus: number;
  /** Whether one OOM kill must end the whole task. */
  readonly oomGroup: boolean;
}

/** The period of the cpu limit: within one period, the task may use its share at full speed. */
const CPU_PERIOD_MS = 100;
const SOONEST_MS = 5;
const LATEST_MS = 60_000;
const OOM_POLL_MS = 20;

export type LimitWatch = ReturnType<typeof openLimitWatch>;

/**
 * Opens the watch. Reads the usage so far, so open it right before the command is released. Throws
 * ERR_STACKSHIM_HOST_UNSUPPORTED if the cgroup does not report the usage: a limit that cannot be enforced is refused.
 */
export function openLimitWatch(options: LimitWatchOptions) {
  const { cgroups, cgroupsPath, cpuTimeMs, hostCpus, oomGroup } = options;
  // The runtime's usage before the command ran, which does not count.
  const usedBeforeMs = cpuTimeMs === undefined ? 0 : cgroups.readCpuMs(cgroupsPath);
  if (usedBeforeMs === null) throw unreadable('its processor time');
  if (oomGroup && cgroups.readOomKills(cgroupsPath) === null) {
    throw unreadable('its kills for memory');
  }
  let { cpus } = options;
  let look: (() => void) | undefined;
  let timer: NodeJS.Timeout | undefined;
  const leftMs = (): number => {
    if (cpuTimeMs === undefined) return Number.POSITIVE_INFINITY;
    const used = cgroups.readCpuMs(cgroupsPath) ?? usedBeforeMs;
    return cpuTimeMs - (used - usedBeforeMs);
  };
  /** The shortest time in which the limit can be reached. */
  const pauseMs = (): number => {
    const left = orNull(leftMs) ?? 0;
    const earliest = Math.max(left / hostCpus, left / cpus - CPU_PERIOD_MS);
    const latest = oomGroup ? OOM_POLL_MS : LATEST_MS;
    return Math.min(latest, Math.max(SOONEST_MS, earliest));
  };
  /** Returns the limit that has been exceeded so far; null: none. */
  const judge = (): WatchedCause | null => {
    if (leftMs() < 0) return 'cpu_time_exceeded';
    return oomGroup && (cgroups.readOomKills(cgroupsPath) ?? 0) > 0 ? 'oom_killed' : null;
  };
  const stop = () => {
    clearTimeout(timer);
    look = undefined;
  };
  /** Calls `passed` at most once, as soon as a limit is found exceeded. */
  const start = (passed: (cause: WatchedCause) => void) => {
    look = () => {
      clearTimeout(timer);
      const cause = orNull(judge);
      if (cause === null) timer = setTimeout(() => look?.(), pauseMs());
      else {
        look = undefined;
        passed(cause);
      }
    };
    timer = setTimeout(look, pauseMs());
  };
  /** Adopts a changed cpu limit: the time may be used up sooner. */
  const setCpus = (changed: number) => {
    cpus = changed;
    look?.();
  };
  return { start, setCpus, stop, judge };
}

/** Null if `look` fails, for example when descriptors run out: the next look retries. */
function orNull<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}

function unreadable(what: string): StackshimError {
  const message = `watch task: its cgroup does not report ${what}`;
  const hint = 'run the task without this limit, or with another runtime';
  return new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, { hint });
}
