/** Polls a condition that nothing announces. */
import { setTimeout as delay } from 'node:timers/promises';
import { scaled } from './time-scale.ts';

const PAUSE_MS = 5;
const GIVE_UP_MS = scaled(20_000);

type Maybe<T> = T | undefined | false | null;

/** Resolves to the first result of `look` that is not undefined, false or null. Rejects after 20 s, or after `giveUpMs`. */
export async function waitUntil<T>(
  look: () => Maybe<T> | Promise<Maybe<T>>,
  giveUpMs: number = GIVE_UP_MS,
): Promise<T> {
  const endsAt = performance.now() + giveUpMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false && found !== null) return found;
    if (performance.now() > endsAt) throw new Error(`waited in vain for ${look}`);
    await delay(PAUSE_MS);
  }
}
