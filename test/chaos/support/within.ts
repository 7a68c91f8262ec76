/** A time limit for what should come soon. */
import { scaled } from '../../support/timing/time-scale.ts';

const NEVER_MS = scaled(20_000);

/** The promise, or a rejection when it was forgotten: nobody would tell. */
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
