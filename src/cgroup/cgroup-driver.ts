/** One interface over cgroup v1 and v2. A `cgroupsPath` is absolute below each hierarchy's root: `/stackshim-<hash>/<task id>`. */

/** What the kernel counted for a task. Null: this cgroup version or kernel does not tell. */
export interface CgroupUsage {
  readonly cpuUserMs: number | null;
  readonly cpuSystemMs: number | null;
  readonly memoryPeakBytes: number | null;
  readonly pidsPeak: number | null;
  readonly oomKills: number | null;
  readonly ioReadBytes: number | null;
  readonly ioWriteBytes: number | null;
}

export interface CgroupDriver {
  readonly version: 1 | 2;
  /** Controllers that limits can be set with: `memory`, `cpu`, `pids`, … */
  readonly controllers: readonly string[];
  /** Reads every counter once. Precondition: the cgroup exists; a counter whose file is missing is null. */
  readUsage(cgroupsPath: string): CgroupUsage;
  /** Host pids of every process in the cgroup and below it. Empty when it does not exist. */
  listProcesses(cgroupsPath: string): readonly number[];
  /** The cgroup's directories that exist, in every hierarchy. Empty when it is gone. */
  existing(cgroupsPath: string): readonly string[];
  /** Removes the cgroup and those below it from every hierarchy; a second call does nothing. Returns what would not go (processes left). */
  remove(cgroupsPath: string): readonly string[];
}
