/** What a job's name in the store says about its needs: `v1 <memoryBytes> <diskBytes> <cpus>`, each of them possibly `-`, or `v1`. Pure. */
import type { Needs } from '../taken-job.ts';
import type { IntakeOptions } from './intake-options.ts';

const NAME = /^v1 (\d{1,15}|-) (\d{1,15}|-) (\d{1,6}(?:\.\d{1,6})?|-)$/;

/**
 * The usual needs where the name does not say (`-`), and for a name of another form: its producer may be anyone. Room is kept free for the
 * needs in a name, so it cannot say more than a job may have at most. The data of the job, once taken, counts.
 */
export function parseJobNeeds(
  name: string,
  usual: Needs,
  most: IntakeOptions['mostNeeds'] = {},
): Needs {
  const [, memory, disk, cpus] = NAME.exec(name) ?? [];
  const amount = (text: string | undefined, field: keyof Needs) =>
    text === undefined || text === '-'
      ? usual[field]
      : Math.min(Number(text), most[field] ?? Number.POSITIVE_INFINITY);
  return {
    memoryBytes: amount(memory, 'memoryBytes'),
    diskBytes: amount(disk, 'diskBytes'),
    cpus: amount(cpus, 'cpus'),
  };
}
