/** The clock that all processes of a host share and nobody can set: clock_gettime(2). It stands still while the machine is suspended, as timers do. */
import { invoke } from './invoke.ts';

const CLOCK_GETTIME = process.arch === 'arm64' ? 113 : 228;
const CLOCK_MONOTONIC = 1;

/** Milliseconds. Not from `process.hrtime`: in the executable that counts from the process's own start. */
export function monotonicMs(): number {
  // struct timespec: seconds, nanoseconds.
  const time = Buffer.alloc(16);
  invoke({ name: 'clock_gettime' }, 'syscall', CLOCK_GETTIME, CLOCK_MONOTONIC, time);
  return Number(time.readBigInt64LE(0)) * 1_000 + Number(time.readBigInt64LE(8)) / 1_000_000;
}
