/** Watches a running task's cgroup for limits that the kernel does not enforce by itself. Loaded only for tasks with such a limit. */
import type { CgroupDriver } from '../../cgroup/cgroup-driver.ts';
import { StackshimError } from '../../core/errors.ts';

export type WatchedCause = 'cpu_time_exceeded' | 'oom_killed';

export interface LimitWatchOptions {
  readonly cgroups: Pick<CgroupDriver, 'readCpuMs' | 'readOomKills'>;
  readonly cgroupsPath: string;
  /** Undefined: processor time is not limited. */
  readonly cpuTimeMs: number | undefined;
  /** The task's cpu limit and the host's processors bound how soon the time can be used up. */
  readonly cpus: number;
  readonly hostCpus: number;
  /** Whether one kill for lack of memory must end the whole task. */
  readonly oomGroup: boolean;
}

/** The period of the cpu limit: within one period, the task may use its share at full speed. */
const CPU_PERIOD_MS = 100;
const SOONEST_MS = 5;
const LATEST_MS = 60_000;
const OOM_POLL_MS = 20;

export class LimitWatch {
  readonly #options: LimitWatchOptions;
  /** The runtime's usage before the command ran, which is not the task's. */
  readonly #usedBeforeMs: number;
  #cpus: number;
  #look: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads the usage so far, so create the watch right before the command is released. Throws ERR_STACKSHIM_HOST_UNSUPPORTED if the cgroup
   * does not report the usage: a limit that cannot be enforced is refused.
   */
  constructor(options: LimitWatchOptions) {
    this.#options = options;
    const { cgroups, cgroupsPath, cpuTimeMs, oomGroup, cpus } = options;
    this.#cpus = cpus;
    const used = cpuTimeMs === undefined ? 0 : cgroups.readCpuMs(cgroupsPath);
    if (used === null) throw unreadable('its processor time');
    if (oomGroup && cgroups.readOomKills(cgroupsPath) === null) {
      throw unreadable('its kills for memory');
    }
    this.#usedBeforeMs = used;
  }

  /** Calls `passed` at most once, as soon as a look finds a limit exceeded. */
  start(passed: (cause: WatchedCause) => void): void {
    const look = () => {
      const cause = orNull(() => this.judge());
      if (cause !== null) {
        this.#look = undefined;
        passed(cause);
      } else this.#timer = setTimeout(look, this.#pauseMs());
    };
    this.#look = look;
    this.#timer = setTimeout(look, this.#pauseMs());
  }

  /** The task's cpu limit has changed: the time may be used up sooner. */
  setCpus(cpus: number): void {
    this.#cpus = cpus;
    if (this.#look === undefined) return;
    clearTimeout(this.#timer);
    this.#look();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#look = undefined;
  }

  /** The limit that has been exceeded so far; null: none. */
  judge(): WatchedCause | null {
    const { cgroups, cgroupsPath, oomGroup } = this.#options;
    if (this.#leftMs() < 0) return 'cpu_time_exceeded';
    const killed = oomGroup && (cgroups.readOomKills(cgroupsPath) ?? 0) > 0;
    return killed ? 'oom_killed' : null;
  }

  #leftMs(): number {
    const { cgroups, cgroupsPath, cpuTimeMs } = this.#options;
    if (cpuTimeMs === undefined) return Number.POSITIVE_INFINITY;
    const used = cgroups.readCpuMs(cgroupsPath) ?? this.#usedBeforeMs;
    return cpuTimeMs - (used - this.#usedBeforeMs);
  }

  /** The time until the limit can be reached at the earliest. */
  #pauseMs(): number {
    const { hostCpus, oomGroup } = this.#options;
    const left = orNull(() => this.#leftMs()) ?? 0;
    const earliest = Math.max(left / hostCpus, left / this.#cpus - CPU_PERIOD_MS);
    const latest = oomGroup ? OOM_POLL_MS : LATEST_MS;
    return Math.min(latest, Math.max(SOONEST_MS, earliest));
  }
}

/** Null if a look fails, for example because descriptors ran out: the next look retries. */
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
