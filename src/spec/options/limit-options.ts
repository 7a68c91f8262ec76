/** Options that limit a task. */
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { LimitRow } from './option-row.ts';
import { bytes, CPUS, count, duration } from './option-values.ts';

const WALL = { min: 1, max: BOUNDS.timeoutMsMax };

/** Numbers for which the policy has a default and a maximum. Other limits are in handling-options.ts. */
export const LIMIT_OPTIONS = {
  /** Bytes, or text such as `256m`. */
  memory: {
    flags: '-m, --memory <size>',
    help: 'limit memory; swap is off: 256m',
    value: bytes({ min: BOUNDS.memoryBytesMin }),
    limit: 'memoryBytes',
    usual: 536_870_912,
    jobs: true,
    doc: {
      takes: 'bytes, at least 4 MiB. Swap is off, so this is the limit of memory and swap together',
      rule: '`maxima.memory`, tenant',
      bound: "the host's memory",
    },
  },
  cpus: {
    flags: '--cpus <number>',
    help: 'limit processors: 0.5',
    value: CPUS,
    limit: 'cpus',
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
    help: 'limit processes and threads',
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
    help: 'limit wall time: 60s',
    value: duration(WALL),
    limit: 'timeoutMs',
    usual: 3_600_000,
    jobs: true,
    doc: {
      takes: 'wall time from the start of the command to its stop signal, 1 ms to 30 days',
      bound: '30 days',
    },
  },
  /** Time between the stop signal and KILL: milliseconds, or text such as `10s`. */
  stopTimeout: {
    flags: '--stop-timeout <duration>',
    help: 'time between the stop signal and KILL: 10s',
    value: duration({ min: 0, max: BOUNDS.stopTimeoutMsMax }),
    limit: 'stopTimeoutMs',
    usual: 10_000,
    jobs: true,
    doc: {
      takes:
        'time between the stop signal and KILL, 0 to 1 hour; see [below](#how-long-a-task-can-take)',
      bound: '1 hour',
    },
  },
  /** Bytes of both streams together. A task that exceeds the limit is killed. */
  outputLimit: {
    flags: '--output-limit <size>',
    help: 'limit the output of both streams; a task that passes it is killed: 64m',
    value: bytes({ min: 1 }),
    limit: 'outputBytes',
    policy: 'output',
    usual: 67_108_864,
    jobs: true,
    doc: {
      takes: 'bytes of both streams together, at least 1; a task that passes it is killed',
      bound: "the policy's maximum",
    },
  },
  /** Bytes that all outputs together may take on the host. */
  outputMaxSize: {
    flags: '--output-max-size <size>',
    help: 'limit what all outputs take together: 1g',
    value: bytes({ min: 1 }),
    limit: 'takenBytes',
    policy: 'outputSize',
    usual: 1_073_741_824,
    jobs: 'it belongs to the outputs',
    doc: {
      takes:
        'bytes that all [outputs](outputs.md) take together, at least 1; a file that passes it is left out',
      bound: "the policy's maximum",
    },
  },
  /** Entries of all outputs together: files, folders and links. */
  outputMaxEntries: {
    flags: '--output-max-entries <number>',
    help: 'limit the number of files, folders and links in all outputs together',
    value: count({ min: 1, max: BOUNDS.takenEntriesMax }),
    limit: 'takenEntries',
    policy: 'outputEntries',
    usual: 100_000,
    jobs: 'it belongs to the outputs',
    doc: {
      takes:
        'files, folders and links in all [outputs](outputs.md) together, 1 to 10,000,000; the rest is left out',
      bound: '10,000,000',
    },
  },
  /** Processor time of all processes: milliseconds, or text such as `30s`. A task that exceeds the limit is killed. */
  cpuTime: {
    flags: '--cpu-time <duration>',
    help: 'limit the processor time of all processes together: 30s',
    value: duration(WALL),
    limit: 'cpuTimeMs',
    otherwise: Number.POSITIVE_INFINITY,
    jobs: true,
    doc: {
      takes:
        'processor time of all processes together, 1 ms to 30 days; a task that passes it is killed',
      bound: '30 days',
    },
  },
  /** Weight against other tasks when processors are short, 2 to 262144; 1024 is usual. */
  cpuShares: {
    flags: '--cpu-shares <number>',
    help: 'weight against other tasks when processors are short; 1024 is usual',
    value: count({ min: BOUNDS.cpuSharesMin, max: BOUNDS.cpuSharesMax }),
    limit: 'cpuShares',
    otherwise: 1024,
    jobs: true,
    doc: {
      takes:
        '2 to 262,144: weight against other tasks when processors are short; 1024 is usual; see [tenants](#tenants)',
      bound: '262,144',
    },
  },
  /** Bytes that the root filesystem and `/task` may take, including code, payload and config. */
  disk: {
    flags: '--disk <size>',
    help: 'limit what the root filesystem and /task store: 512m',
    value: bytes({ min: BOUNDS.diskBytesMin, max: BOUNDS.diskBytesMax }),
    limit: 'diskBytes',
    usual: 1_073_741_824,
    jobs: true,
    doc: {
      takes:
        'bytes that the root filesystem and `/task` may take, including code, payload and config; 1 MiB to 8 TiB, not more than is free at the start; see [disk space](#disk-space)',
      bound: '8 TiB, and what is free',
    },
  },
  /** Wall time of the build step: milliseconds, or text such as `10m`. */
  buildTimeout: {
    flags: '--build-timeout <duration>',
    help: 'limit the wall time of the build step: 10m',
    value: duration({ min: 1, max: BOUNDS.timeoutMsMax }),
    limit: 'buildTimeoutMs',
    usual: 600_000,
    jobs: true,
    doc: {
      takes: 'wall time of the build step, 1 ms to 30 days',
      rule: '`maxima.buildTimeout`, else `maxima.timeout`',
      bound: '30 days',
    },
  },
  /** Bytes, or text such as `2g`. */
  buildMemory: {
    flags: '--build-memory <size>',
    help: 'limit the memory of the build step: 2g',
    value: bytes({ min: BOUNDS.memoryBytesMin }),
    limit: 'buildMemoryBytes',
    usual: 2_147_483_648,
    jobs: true,
    doc: {
      takes: 'bytes, at least 4 MiB, for the build step alone',
      rule: '`maxima.buildMemory`, else `maxima.memory`; tenant',
      bound: "the host's memory",
    },
  },
  /** Bytes that the build step may store, in `/task` and elsewhere. */
  buildDisk: {
    flags: '--build-disk <size>',
    help: 'limit what the build step stores: 2g',
    value: bytes({ min: BOUNDS.diskBytesMin, max: BOUNDS.diskBytesMax }),
    limit: 'buildDiskBytes',
    usual: 2_147_483_648,
    jobs: true,
    doc: {
      takes:
        'bytes that the build step may store, in `/task` and elsewhere, without the code; 1 MiB to 8 TiB. No more than these bytes of `/task` are kept',
      rule: '`maxima.buildDisk`, else `maxima.disk`',
      bound: '8 TiB, and what is free',
    },
  },
} as const satisfies Readonly<Record<string, LimitRow>>;
