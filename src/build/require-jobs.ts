/** Checks how many builds a caller wants at a time. */
import { StackshimError } from '../core/errors.ts';
import { MOST_BUILDS } from './take-builder-home.ts';

/** Returns `jobs`. Throws ERR_STACKSHIM_SPEC_INVALID unless it is from 1 to {@link MOST_BUILDS}. */
export function requireJobs(jobs: number): number {
  if (Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= MOST_BUILDS) return jobs;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read --jobs ${jobs}: not a whole number from 1 to ${MOST_BUILDS}`,
    { details: { field: 'jobs' } },
  );
}
