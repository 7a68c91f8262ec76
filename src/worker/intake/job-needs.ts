/** Parses a job's needs from its stored name: `v1 <memoryBytes> <diskBytes> <cpus>`, where each may be `-`, or `v1`. Pure. */
import type { Needs } from '../taken-job.ts';
import type { IntakeOptions } from './intake-options.ts';

const NAME = /^v1 (\d{1,15}|-) (\d{1,15}|-) (\d{1,6}(?:\.\d{1,6})?|-)$/;

/**
 * Uses the usual needs for `-` and for a name of another form: anyone may be the producer. Room is kept free for the needs in a name, so they are
 * capped at the most that a job may have. Once the job is taken, its data decides.
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
