/** The large programs in the kernel's pool of compiled filters, as the probes make them. */
import { readFileSync } from 'node:fs';
import { waitUntil } from '../../support/timing/wait-until.ts';

/**
 * A program of 4,096 instructions of 8 bytes, and what the kernel adds. Those that runtimes and the host load are far smaller. The packs of 2 MiB in which the
 * kernel keeps compiled code belong to all programs, and go when it likes.
 */
const [LEAST_BYTES, MOST_BYTES] = [32 * 1024, 64 * 1024];
/** As many may belong to other programs on the host. */
export const FEW = 10;

/** @param vmallocinfo What /proc/vmallocinfo says. */
export const countLargeFilters = (
  vmallocinfo = readFileSync('/proc/vmallocinfo', 'utf8'),
): number =>
  vmallocinfo.split('\n').filter((line) => {
    const [, bytes, caller] = line.split(/\s+/);
    const isProgram = /^bpf_prog_(?!pack)/.test(caller ?? '');
    return isProgram && Number(bytes) >= LEAST_BYTES && Number(bytes) <= MOST_BYTES;
  }).length;

/** The kernel frees programs some time after the last process that had them: what is counted next must not hold those of an earlier probe. */
export async function largeFiltersAreGone(): Promise<void> {
  try {
    await waitUntil(() => countLargeFilters() <= FEW);
  } catch (cause) {
    const message = `the kernel still has ${countLargeFilters()} large filters: does another run of the battery make them?`;
    throw new Error(message, { cause });
  }
}
