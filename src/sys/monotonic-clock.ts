/** The clock that all processes of a host share and nobody can set: clock_gettime(2). Like timers, it stops while the machine is suspended. */
import { invoke } from './invoke.ts';

const CLOCK_GETTIME = process.arch === 'arm64' ? 113 : 228;
const CLOCK_MONOTONIC = 1;

/** Milliseconds on the clock. `process.hrtime` will not do: in the executable it counts from the start of the process. */
export function monotonicMs(): number {
  // struct timespec: seconds, nanoseconds.
  const time = Buffer.alloc(16);
  invoke({ name: 'clock_gettime' }, 'syscall', CLOCK_GETTIME, CLOCK_MONOTONIC, time);
  return Number(time.readBigInt64LE(0)) * 1_000 + Number(time.readBigInt64LE(8)) / 1_000_000;
}
