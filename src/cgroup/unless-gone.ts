/** Calls on a cgroup that may be removed at any moment. */
import { errnoCodeOf } from '../core/errors.ts';

/** What `ask` returns; undefined when the cgroup, or its file, does not exist. */
export function unlessGone<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    const code = errnoCodeOf(error);
    // ENODEV: it was removed between the open and the call.
    if (code === 'ENOENT' || code === 'ENODEV') return undefined;
    throw error;
  }
}
