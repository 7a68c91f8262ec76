/** Puts a time limit on a promise. */
import { scaled } from '../../support/timing/time-scale.ts';

const NEVER_MS = scaled(20_000);

/** Returns the promise, or a rejection after the limit if it never settles. */
export async function within<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it never ends')), NEVER_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
