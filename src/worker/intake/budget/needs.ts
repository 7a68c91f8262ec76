/** Arithmetic with what tasks reserve. Pure. */
import type { Needs } from '../../taken-job.ts';

export const NO_NEEDS: Needs = { memoryBytes: 0, diskBytes: 0, cpus: 0 };

/** Parts of a processor are added and taken away again: without rounding, nothing plus a tenth minus a tenth is not nothing. */
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

/** Processors can be shared: a task that may use more of them than there are gets what there is. */
export const lowerCpus = (needs: Needs, total: Needs): Needs =>
  needs.cpus <= total.cpus ? needs : { ...needs, cpus: total.cpus };
