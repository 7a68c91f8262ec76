/** One interface over cgroup v1 and v2. A `cgroupsPath` is absolute below each hierarchy's root: `/stackshim-<hash>[/tenant-<name>]/task-<id>`. */

/** What the kernel counted for a task. Null: this cgroup version or kernel does not report it. */
export interface CgroupUsage {
  readonly cpuUserMs: number | null;
  readonly cpuSystemMs: number | null;
  /** Time for which the cpu limit kept runnable processes waiting. */
  readonly cpuThrottledMs: number | null;
  readonly memoryPeakBytes: number | null;
  /** Buffers of TCP and UDP sockets, which v1 counts separately. Null on v2, where they are part of the memory. */
  readonly socketPeakBytes: number | null;
  readonly pidsPeak: number | null;
  readonly oomKills: number | null;
  /** How often the kernel killed the whole group for lack of memory. Null on v1. */
  readonly oomGroupKills: number | null;
  readonly ioReadBytes: number | null;
  readonly ioWriteBytes: number | null;
  /** Pressure stall information: time in which at least one process waited for the resource. Null on v1. */
  readonly cpuPressureMs: number | null;
  readonly memoryPressureMs: number | null;
  readonly ioPressureMs: number | null;
}

/** What a running task uses now, and its peaks. Null: this cgroup version or kernel does not report it. */
export interface LiveUsage
  extends Pick<CgroupUsage, 'pidsPeak' | 'ioReadBytes' | 'ioWriteBytes' | 'oomKills'> {
  /** Processor time so far, of all processors together. */
  readonly cpuMs: number | null;
  /** As docker counts it: without the cached pages of files that were not used lately. */
  readonly memoryBytes: number | null;
  /** Infinity: no limit. */
  readonly memoryLimitBytes: number | null;
  /** Cached pages included. */
  readonly memoryPeakBytes: number | null;
  /** Processes and threads. */
  readonly pids: number | null;
  /** Infinity: no limit. */
  readonly pidsLimit: number | null;
  readonly isFrozen: boolean;
}

/** `stuck`: a process waits in the kernel, where it cannot be stopped. `gone`: there is no such cgroup, or none that can be frozen. */
export type FreezeOutcome = 'frozen' | 'stuck' | 'gone';

/** New limits of a running task; absent ones stay. */
export interface LiveLimits {
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
}

/** What looks at running tasks and changes them: nothing that a task needs. */
export interface LiveCgroups {
  /** Reads the counters once. All are null when the cgroup does not exist. Costs a tenth of a millisecond. */
  readUsage(cgroupsPath: string): LiveUsage;
  /**
   * Sets the limits in the order memory, pids, cpus; a value that the kernel refuses rejects with its error, and those after it stay. Runs
   * on threads of the pool: for a smaller limit of memory, the kernel first frees pages. Never makes the kernel kill a process for the
   * smaller limit: if too few pages can be freed, rejects with EBUSY.
   */
  setLimits(cgroupsPath: string, limits: LiveLimits): Promise<void>;
  /** Stops every process of the cgroup and below it until {@link CgroupDriver.thaw}; lets them run again if one does not stop in some seconds. */
  freeze(cgroupsPath: string): Promise<FreezeOutcome>;
}

/** What the tasks of one tenant may use together. */
export interface CgroupShare {
  /** Against other tenants and tasks: 1 to 10000, 100 is usual. For cpu time, and for disk time if the kernel can weigh it. */
  readonly weight: number;
  /** Null: no cap. */
  readonly cpus: number | null;
  /** Swap included. Null: no cap. */
  readonly memoryBytes: number | null;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Controllers with which limits can be set: `memory`, `cpu`, `pids`, … */
  readonly controllers: readonly string[];
  /** Reads every counter once. Precondition: the cgroup exists; a counter whose file is missing is null. */
  readUsage(cgroupsPath: string): CgroupUsage;
  /**
   * Limits the buffers of TCP and UDP sockets to `bytes`, in addition to the memory, if they do not count as memory (v1). Does nothing if
   * they do, or if the cgroup has no such file. Precondition: the cgroup exists and no process of the task runs yet.
   */
  limitSockets(cgroupsPath: string, bytes: number): void;
  /** The current charge for TCP and UDP sockets: part of the memory on v2, separate on v1. Null when it cannot be determined. */
  readSocketBytes(cgroupsPath: string): number | null;
  /** Processor time used so far by all processors together. Reads one file, so it can be called often. Null when it cannot be determined. */
  readCpuMs(cgroupsPath: string): number | null;
  /** Processes that the kernel has killed so far for lack of memory. Null when it cannot be determined. */
  readOomKills(cgroupsPath: string): number | null;
  /** Host pids of every process in the cgroup and below it. Empty when it does not exist. */
  listProcesses(cgroupsPath: string): readonly number[];
  /**
   * Sends KILL to every process in the cgroup and below it, so that none escapes by forking: `cgroup.kill` on v2; on v1 the
   * cgroup is frozen, killed and thawed. Bounded in time. A process that hangs in the kernel may live on; so does one that joins meanwhile.
   */
  killProcesses(cgroupsPath: string): Promise<void>;
  /** Whether the cgroup is frozen, or was told to freeze. False when it does not exist. */
  isFrozen(cgroupsPath: string): boolean;
  /** Lets a frozen cgroup run again, at once. Does nothing to one that runs or does not exist. */
  thaw(cgroupsPath: string): void;
  /** Loads the code. */
  openLive(): Promise<LiveCgroups>;
  /** Creates a tenant's cgroup if it is missing, and sets its share again. Rejects with the kernel's errors. */
  shareGroup(cgroupsPath: string, share: CgroupShare): Promise<void>;
  /** Names of the cgroups directly below, in any hierarchy. */
  children(cgroupsPath: string): readonly string[];
  /** The cgroup's directories that exist, in every hierarchy. Empty when it is gone. */
  existing(cgroupsPath: string): readonly string[];
  /**
   * Removes the cgroup and those below it from every hierarchy. A shared parent (an installation's, a tenant's) is removed only when it is empty;
   * a second call does nothing. Resolves to the directories that could not be removed (processes or tasks are left). Runs on threads of the pool:
   * while the kernel moves a process to another cgroup, it blocks the caller that removes a cgroup.
   */
  remove(cgroupsPath: string): Promise<readonly string[]>;
}
