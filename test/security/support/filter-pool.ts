/** The large programs in the kernel's pool of compiled filters, like those of the probes. */
import { readFileSync } from 'node:fs';
import { waitUntil } from '../../support/timing/wait-until.ts';

/**
 * The size of a program of 4,096 instructions of 8 bytes with the kernel's overhead. Filters of runtimes and the host are far smaller. The kernel's packs of 2 MiB
 * for compiled code belong to all programs, and are freed at any time.
 */
const [MIN_BYTES, MAX_BYTES] = [32 * 1024, 64 * 1024];
/** The number that other programs on the host may have. */
export const FEW = 10;

/** @param vmallocinfo The content of /proc/vmallocinfo. */
export const countLargeFilters = (
  vmallocinfo = readFileSync('/proc/vmallocinfo', 'utf8'),
): number =>
  vmallocinfo.split('\n').filter((line) => {
    const [, bytes, caller] = line.split(/\s+/);
    const isProgram = /^bpf_prog_(?!pack)/.test(caller ?? '');
    return isProgram && Number(bytes) >= MIN_BYTES && Number(bytes) <= MAX_BYTES;
  }).length;

/** The kernel frees programs some time after their last process: the next count must not include those of an earlier probe. */
export async function largeFiltersAreGone(): Promise<void> {
  try {
    await waitUntil(() => countLargeFilters() <= FEW);
  } catch (cause) {
    const message = `the kernel still has ${countLargeFilters()} large filters: does another run of the battery make them?`;
    throw new Error(message, { cause });
  }
}
