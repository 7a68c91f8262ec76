/** Options that bound a task. */
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { LimitRow } from './option-row.ts';
import { bytes, CPUS, count, duration } from './option-values.ts';

const WALL = { min: 1, max: BOUNDS.timeoutMsMax };

/** Numbers that the policy has a default and a maximum for. Other bounds are in container-options.ts. */
export const LIMIT_OPTIONS = {
  /** Bytes, or text such as `256m`. */
  memory: {
    flags: '-m, --memory <size>',
    help: 'memory limit, swap included: 256m',
    value: bytes({ min: BOUNDS.memoryBytesMin }),
    limit: 'memoryBytes',
    policy: 'memory',
    usual: 536_870_912,
    jobs: true,
    doc: {
      takes: 'bytes, at least 4 MiB. Swap is off: it is the limit of both',
      rule: '`maxima.memory`, tenant',
      bound: "the host's memory",
    },
  },
  cpus: {
    flags: '--cpus <number>',
    help: 'processors: 0.5',
    value: CPUS,
    limit: 'cpus',
    policy: 'cpus',
    usual: 1,
    jobs: true,
    doc: {
      takes: 'from 0.01 to what the host has',
      rule: '`maxima.cpus`, tenant',
      bound: "the host's processors",
    },
  },
  pidsLimit: {
    flags: '--pids-limit <number>',
    help: 'most processes and threads at once',
    value: count({ min: 1, max: BOUNDS.pidsMax }),
    limit: 'pids',
    policy: 'pids',
    usual: 256,
    jobs: true,
    doc: { takes: '1 to 4,194,304 processes and threads', bound: '4,194,304' },
  },
  /** Wall time: milliseconds, or text such as `60s`. */
  timeout: {
    flags: '--timeout <duration>',
    help: 'wall time: 60s',
    value: duration(WALL),
    limit: 'timeoutMs',
    policy: 'timeout',
    usual: 3_600_000,
    jobs: true,
    doc: { takes: 'wall time from start to kill, 1 ms to 30 days', bound: '30 days' },
  },
  /** Between the stop signal and KILL: milliseconds, or text such as `10s`. */
  stopTimeout: {
    flags: '--stop-timeout <duration>',
    help: 'time between the stop signal and KILL: 10s',
    value: duration({ min: 0, max: BOUNDS.stopTimeoutMsMax }),
    limit: 'stopTimeoutMs',
    policy: 'stopTimeout',
    usual: 10_000,
    jobs: true,
    doc: {
      takes:
        'between the stop signal and KILL when a task is stopped, 0 to 1 hour; see [below](#how-long-a-task-can-take)',
      bound: '1 hour',
    },
  },
  /** Bytes of both streams together; passing it ends the task. */
  outputLimit: {
    flags: '--output-limit <size>',
    help: 'most output of both streams; passing it ends the task: 64m',
    value: bytes({ min: 1 }),
    limit: 'outputBytes',
    policy: 'output',
    usual: 67_108_864,
    jobs: true,
    doc: {
      takes: 'bytes of both streams together, at least 1; passing it ends the task',
      bound: "the policy's maximum",
    },
  },
  /** Processor time of all processes: milliseconds, or text such as `30s`; passing it ends the task. */
  cpuTime: {
    flags: '--cpu-time <duration>',
    help: 'most processor time of all its processes: 30s',
    value: duration(WALL),
    limit: 'cpuTimeMs',
    policy: 'cpuTime',
    otherwise: Number.POSITIVE_INFINITY,
    jobs: true,
    doc: {
      takes:
        'processor time of all its processes together, 1 ms to 30 days; passing it kills the task',
      bound: '30 days',
    },
  },
  /** Weight beside other tasks, 2 to 262144; 1024 is usual. */
  cpuShares: {
    flags: '--cpu-shares <number>',
    help: 'weight beside other tasks when processors are short: 1024 is usual',
    value: count({ min: BOUNDS.cpuSharesMin, max: BOUNDS.cpuSharesMax }),
    limit: 'cpuShares',
    policy: 'cpuShares',
    otherwise: 1024,
    jobs: true,
    doc: {
      takes:
        '2 to 262,144: weight beside other tasks when processors are short, 1024 is usual; see [tenants](#tenants)',
      bound: '262,144',
    },
  },
  /** Bytes that its root filesystem and `/task` may take, what it is given to read included. */
  disk: {
    flags: '--disk <size>',
    help: 'most the task may write to its root filesystem and /task: 512m',
    value: bytes({ min: BOUNDS.diskBytesMin, max: BOUNDS.diskBytesMax }),
    limit: 'diskBytes',
    policy: 'disk',
    usual: 1_073_741_824,
    jobs: true,
    doc: {
      takes:
        'bytes that the root filesystem and `/task` may take, what the task is given to read included; 1 MiB to 8 TiB, not more than is free; see [disk space](#disk-space)',
      bound: '8 TiB, and what is free',
    },
  },
} as const satisfies Readonly<Record<string, LimitRow>>;
