/** The bounds of a task spec. docs/task-spec.md lists them for users. */

export const SPEC_BOUNDS = {
  commandElements: 8192,
  commandBytes: 1_048_576,
  /** The kernel refuses longer arguments and environment entries: MAX_ARG_STRLEN, execve(2). */
  argumentBytes: 131_071,
  envEntries: 4096,
  envBytes: 1_048_576,
  envNameChars: 255,
  /** PATH_MAX less the closing NUL, path_resolution(7). */
  pathBytes: 4095,
  mounts: 64,
  tmpfs: 64,
  devices: 32,
  ulimits: 32,
  capabilities: 64,
  securityOpts: 16,
  labels: 128,
  labelKeyChars: 128,
  labelValueChars: 4096,
  payloadBytes: 16_777_216,
  captureBytesMax: 67_108_864,
  memoryBytesMin: 4_194_304,
  diskBytesMin: 1_048_576,
  /** 8 TiB. */
  diskBytesMax: 8_796_093_022_208,
  cpusMin: 0.01,
  cpusMax: 8192,
  /** The kernel's largest pid_max, proc_sys_kernel(5). */
  pidsMax: 4_194_304,
  timeoutMsMax: 30 * 24 * 3_600_000,
  stopTimeoutMsMax: 3_600_000,
  /** Ten years. */
  cacheAgeMsMax: 3650 * 24 * 3_600_000,
  /** cgroup-v1/cpu: kernel/sched/sched.h, MIN_SHARES and MAX_SHARES. */
  cpuSharesMin: 2,
  cpuSharesMax: 262_144,
  /** Devices in each list of disk throttles. */
  throttles: 16,
  iopsMax: 100_000_000,
  outputs: 64,
  takenEntriesMax: 10_000_000,
  /** Weights of tenants: cgroup-v2.rst, cpu.weight. */
  weightMax: 10_000,
  /** No machine has as many slots. */
  liveTasksMax: 4096,
  optionChars: 8192,
  /** Payload and config of a queue's job, each. */
  jobInputBytes: 1_048_576,
  /** A job's data as JSON, when a client adds the job. Workers accept a little more. */
  jobDataBytes: 8_388_608,
  jobRetries: 10,
  jobDelayMsMax: 30 * 24 * 3_600_000,
} as const;
