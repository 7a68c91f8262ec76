/** One interface over cgroup v1 and v2. A `cgroupsPath` is absolute below each hierarchy's root: `/stackshim-<hash>[/tenant-<name>]/task-<id>`. */

/** The kernel's counters of a task. Null: this cgroup version or kernel does not report the value. */
export interface CgroupUsage {
  readonly cpuUserMs: number | null;
  readonly cpuSystemMs: number | null;
  /** Time that runnable processes waited because of the cpu limit. */
  readonly cpuThrottledMs: number | null;
  readonly memoryPeakBytes: number | null;
  /** Buffers of TCP and UDP sockets, which v1 counts separately. Null on v2, where they count as memory. */
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

/** A running task's current usage, and its peaks. Null: this cgroup version or kernel does not report the value. */
export interface LiveUsage
  extends Pick<CgroupUsage, 'pidsPeak' | 'ioReadBytes' | 'ioWriteBytes' | 'oomKills'> {
  /** Processor time so far on all processors. */
  readonly cpuMs: number | null;
  /** As in docker: without the cached pages of files not used lately. */
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

/** `stuck`: a process waits in the kernel, where it cannot be stopped. `gone`: no such cgroup, or none that can be frozen. */
export type FreezeOutcome = 'frozen' | 'stuck' | 'gone';

/** New limits of a running task; absent ones do not change. */
export interface LiveLimits {
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
}

/** Inspects and changes running tasks; no task needs it to run. */
export interface LiveCgroups {
  /** Reads the counters once, in about 0.1 ms. All are null if the cgroup does not exist. */
  readUsage(cgroupsPath: string): LiveUsage;
  /**
   * Sets limits in the order memory, pids, cpus. Rejects with the kernel's error for a value it refuses; the values after it stay. Runs on pool
   * threads, because the kernel frees pages before it lowers a memory limit. Never makes the kernel kill a process for that: rejects with EBUSY
   * if too few pages can be freed.
   */
  setLimits(cgroupsPath: string, limits: LiveLimits): Promise<void>;
  /** Stops all processes of the cgroup and below until {@link CgroupDriver.thaw}. Thaws the cgroup if one does not stop in a few seconds. */
  freeze(cgroupsPath: string): Promise<FreezeOutcome>;
}

/** The joint share of a tenant's tasks. */
export interface CgroupShare {
  /** Relative to other tenants and tasks: 1 to 10000, usually 100. For cpu time, and for disk time if the kernel can weigh it. */
  readonly weight: number;
  /** Null: no cap. */
  readonly cpus: number | null;
  /** Includes swap. Null: no cap. */
  readonly memoryBytes: number | null;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Controllers that can set limits: `memory`, `cpu`, `pids`, … */
  readonly controllers: readonly string[];
  /** Reads all counters once; one whose file is missing is null. Precondition: the cgroup exists. */
  readUsage(cgroupsPath: string): CgroupUsage;
  /**
   * Limits TCP and UDP socket buffers to `bytes` in addition to the memory, if they do not count as memory (v1). Does nothing if they do, or if
   * the cgroup lacks the file. Precondition: the cgroup exists and no process of the task runs yet.
   */
  limitSockets(cgroupsPath: string, bytes: number): void;
  /** The current charge for TCP and UDP sockets: part of the memory on v2, separate on v1. Null if unknown. */
  readSocketBytes(cgroupsPath: string): number | null;
  /** Processor time so far on all processors. Reads one file, so it may be called often. Null if unknown. */
  readCpuMs(cgroupsPath: string): number | null;
  /** How many processes the kernel has killed for lack of memory. Null if unknown. */
  readOomKills(cgroupsPath: string): number | null;
  /** Host pids of all processes in the cgroup and below. Empty if the cgroup does not exist. */
  listProcesses(cgroupsPath: string): readonly number[];
  /**
   * Kills all processes in the cgroup and below so that none escapes by forking: `cgroup.kill` on v2; freeze, kill and thaw on v1. Bounded in
   * time. A process that hangs in the kernel may live on, and so may one that joins meanwhile.
   */
  killProcesses(cgroupsPath: string): Promise<void>;
  /** Whether the cgroup is frozen or was told to freeze. False if it does not exist. */
  isFrozen(cgroupsPath: string): boolean;
  /** Thaws a frozen cgroup, at once. Does nothing if the cgroup runs or does not exist. */
  thaw(cgroupsPath: string): void;
  /** Loads the code for running tasks. */
  openLive(): Promise<LiveCgroups>;
  /** Creates a tenant's cgroup if missing, and sets its share again. Rejects with kernel errors. */
  shareGroup(cgroupsPath: string, share: CgroupShare): Promise<void>;
  /** Names of the cgroups directly below, in any hierarchy. */
  children(cgroupsPath: string): readonly string[];
  /** The cgroup's existing directories in every hierarchy. Empty if it is gone. */
  existing(cgroupsPath: string): readonly string[];
  /**
   * Removes the cgroup and those below from every hierarchy. A shared parent (an installation's, a tenant's) is removed only when empty; a second
   * call does nothing. Resolves to the directories that could not be removed (processes or tasks are left). Runs on pool threads: while the
   * kernel moves a process to another cgroup, it blocks removals of cgroups.
   */
  remove(cgroupsPath: string): Promise<readonly string[]>;
}
