/** What a job's name in the store says about its needs: `v1 <memoryBytes> <diskBytes> <cpus>`, each of them possibly `-`, or `v1`. Pure. */
import type { Needs } from '../taken-job.ts';

const NAME = /^v1 (\d{1,15}|-) (\d{1,15}|-) (\d{1,6}(?:\.\d{1,6})?|-)$/;

/**
 * The usual needs where the name does not say (`-`), and for a name of another form: its producer may be anyone. The data of the job, once
 * taken, counts.
 */
export function parseJobNeeds(name: string, usual: Needs): Needs {
  const [, memory, disk, cpus] = NAME.exec(name) ?? [];
  const amount = (text: string | undefined, otherwise: number) =>
    text === undefined || text === '-' ? otherwise : Number(text);
  return {
    memoryBytes: amount(memory, usual.memoryBytes),
    diskBytes: amount(disk, usual.diskBytes),
    cpus: amount(cpus, usual.cpus),
  };
}
