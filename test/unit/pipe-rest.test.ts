/** How much is read from busy pipes in one turn of the event loop: others must get their turn. */
import { expect, it } from 'vitest';
import { rest } from '../../src/sys/pipe-io/reading.ts';

const CHUNK_BYTES = 65_536;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

it('two hundred full pipes are read over several turns, first come first', async () => {
  const readOn: number[] = [];
  const perTurn: number[] = [];
  const streams = Array.from({ length: 200 }, (_, stream) => stream);
  for (const stream of streams) {
    if (rest(CHUNK_BYTES, () => readOn.push(stream)) === undefined) readOn.push(stream);
  }
  while (perTurn.length < 20 && perTurn.reduce((sum, count) => sum + count, 0) < streams.length) {
    const before = perTurn.reduce((sum, count) => sum + count, 0);
    perTurn.push(readOn.length - before);
    await nextTurn();
  }
  expect(readOn).toEqual(streams);
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(32);
});

it('a pipe that is to be finished does not wait for its turn', () => {
  const ends = Array.from({ length: 40 }, () => rest(CHUNK_BYTES, () => undefined));
  let isOver = false;
  const end = rest(CHUNK_BYTES, () => {
    isOver = true;
  });
  end?.();
  expect(isOver).toBe(true);
  for (const one of ends) one?.();
});

it('a single pipe is read at once', async () => {
  await nextTurn();
  await nextTurn();
  for (let chunk = 0; chunk < 20; chunk += 1) {
    expect(rest(CHUNK_BYTES, () => undefined)).toBeUndefined();
  }
});
