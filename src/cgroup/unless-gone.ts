/** Calls on a cgroup that may be removed at any moment. */
import { unlessMissing } from '../core/errors.ts';

/** What `ask` returns; undefined when the cgroup, or its file, does not exist. */
export const unlessGone = <T>(ask: () => T): T | undefined =>
  // ENODEV: it was removed between the open and the call.
  unlessMissing(ask, ['ENOENT', 'ENODEV']);
