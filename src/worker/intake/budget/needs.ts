/** Arithmetic on reserved resources. Pure. */
import type { Needs } from '../../taken-job.ts';

export const NO_NEEDS: Needs = { memoryBytes: 0, diskBytes: 0, cpus: 0 };

/** Without rounding, adding and subtracting a fraction of a processor does not give 0 again. */
const MICROS = 1_000_000;
const rounded = (cpus: number) => Math.round(cpus * MICROS) / MICROS;

export const addNeeds = (one: Needs, other: Needs): Needs => ({
  memoryBytes: one.memoryBytes + other.memoryBytes,
  diskBytes: one.diskBytes + other.diskBytes,
  cpus: rounded(one.cpus + other.cpus),
});

export const subtractNeeds = (one: Needs, other: Needs): Needs => ({
  memoryBytes: one.memoryBytes - other.memoryBytes,
  diskBytes: one.diskBytes - other.diskBytes,
  cpus: rounded(one.cpus - other.cpus),
});

export const fitsIn = (needs: Needs, room: Needs): boolean =>
  needs.memoryBytes <= room.memoryBytes &&
  needs.diskBytes <= room.diskBytes &&
  needs.cpus <= room.cpus;

/** Caps `cpus` at the machine's. Processors are shared, so a task that may use more still runs. */
export const lowerCpus = (needs: Needs, total: Needs): Needs =>
  needs.cpus <= total.cpus ? needs : { ...needs, cpus: total.cpus };
