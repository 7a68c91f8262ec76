import { createReadStream } from 'node:fs';
import { LAYER_LIMITS } from '../archive/archive-limits.ts';
import { LAYER_POLICY } from '../archive/archive-policy.ts';
import { createTarParser } from '../archive/tar-parser.ts';

/**
 * The newest time, in an uncompressed layer tar, of the entries that its build did not make: those older than `before` (both in seconds
 * since 1970); undefined if there is none.
 */
export async function readNewestMtime(path: string, before: number): Promise<number | undefined> {
  let newest: number | undefined;
  const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, {
    entry: ({ mtime }) => {
      if (mtime.seconds < before && mtime.seconds >= (newest ?? 0)) newest = mtime.seconds;
    },
    data: () => undefined,
  });
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    parser.push(chunk);
  }
  parser.end();
  return newest;
}
