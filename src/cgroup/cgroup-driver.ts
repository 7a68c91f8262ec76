/** One interface over cgroup v1 and v2. A `cgroupsPath` is absolute below each hierarchy's root: `/stackshim-<hash>[/tenant-<name>]/task-<id>`. */

/** What the kernel counted for a task. Null: this cgroup version or kernel does not tell. */
export interface CgroupUsage {
  readonly cpuUserMs: number | null;
  readonly cpuSystemMs: number | null;
  /** Time in which the cpu limit held processes back that could have run. */
  readonly cpuThrottledMs: number | null;
  readonly memoryPeakBytes: number | null;
  /** Buffers of TCP and UDP sockets, which v1 counts by themselves. Null on v2, where they are part of the memory. */
  readonly socketPeakBytes: number | null;
  readonly pidsPeak: number | null;
  readonly oomKills: number | null;
  /** How often the kernel killed the whole group for memory. Null on v1. */
  readonly oomGroupKills: number | null;
  readonly ioReadBytes: number | null;
  readonly ioWriteBytes: number | null;
  /** Pressure stall information: time in which at least one process waited for the resource. Null on v1. */
  readonly cpuPressureMs: number | null;
  readonly memoryPressureMs: number | null;
  readonly ioPressureMs: number | null;
}

/** What the tasks of one tenant have together. */
export interface CgroupShare {
  /** Beside other tenants and tasks: 1 to 10000, 100 is usual. Cpu time, and disk time where the kernel can weigh it. */
  readonly weight: number;
  /** Null: no cap. */
  readonly cpus: number | null;
  /** Swap included. Null: no cap. */
  readonly memoryBytes: number | null;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Controllers that limits can be set with: `memory`, `cpu`, `pids`, … */
  readonly controllers: readonly string[];
  /** Reads every counter once. Precondition: the cgroup exists; a counter whose file is missing is null. */
  readUsage(cgroupsPath: string): CgroupUsage;
  /**
   * Bounds the buffers of TCP and UDP sockets where they do not count as memory (v1); they may take `bytes` besides. Nothing to do where
   * they do, or where the cgroup has no such file. Precondition: the cgroup exists and no process of the task runs yet.
   */
  limitSockets(cgroupsPath: string, bytes: number): void;
  /** What is charged for TCP and UDP sockets at this moment: as memory on v2, besides it on v1. Null when it cannot be told. */
  readSocketBytes(cgroupsPath: string): number | null;
  /** Processor time used so far, of all processors together: one file, for those who look often. Null when it cannot be told. */
  readCpuMs(cgroupsPath: string): number | null;
  /** Processes that the kernel has killed for memory so far. Null when it cannot be told. */
  readOomKills(cgroupsPath: string): number | null;
  /** Host pids of every process in the cgroup and below it. Empty when it does not exist. */
  listProcesses(cgroupsPath: string): readonly number[];
  /**
   * Sends KILL to every process in the cgroup and below it, so that none escapes by forking meanwhile: `cgroup.kill` on v2; on v1 the
   * cgroup is frozen, killed and thawed. Bounded in time; those that hang in the kernel may live on, and one that joined meanwhile does.
   */
  killProcesses(cgroupsPath: string): Promise<void>;
  /** Makes a tenant's cgroup where there is none, and sets its share anew. Rejects with the kernel's errors. */
  shareGroup(cgroupsPath: string, share: CgroupShare): Promise<void>;
  /** Names of the cgroups directly below, in any hierarchy. */
  children(cgroupsPath: string): readonly string[];
  /** The cgroup's directories that exist, in every hierarchy. Empty when it is gone. */
  existing(cgroupsPath: string): readonly string[];
  /**
   * Removes the cgroup and those below it from every hierarchy, a shared parent (an installation's, a tenant's) only when it is empty;
   * a second call does nothing. Resolves to the cgroup's directories that would not go (processes or tasks left). On threads of the pool:
   * the kernel holds up whoever removes a cgroup while it moves a process to another.
   */
  remove(cgroupsPath: string): Promise<readonly string[]>;
}
