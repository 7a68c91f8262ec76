/** What a job's name in the store says about its needs: `v1 <memoryBytes> <diskBytes> <cpus>`, or `v1`. Pure. */
import type { Needs } from '../taken-job.ts';

const NAME = /^v1 (\d{1,15}) (\d{1,15}) (\d{1,6}(?:\.\d{1,6})?)$/;

/** The usual needs if the name does not say: its producer may be anyone. The data of the job, once taken, counts. */
export function parseJobNeeds(name: string, usual: Needs): Needs {
  const [, memory, disk, cpus] = NAME.exec(name) ?? [];
  if (memory === undefined || disk === undefined || cpus === undefined) return usual;
  return { memoryBytes: Number(memory), diskBytes: Number(disk), cpus: Number(cpus) };
}
