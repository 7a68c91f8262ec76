/** Pipes on both engines: all data is read, and all descriptors are closed. */
import { expect, it } from 'vitest';
import { runFixture } from '../support/programs/bun-fixture.ts';
import { type Drained, drainMany } from './support/drain-many.ts';

const drainPipes = new URL('../fixtures/drain-pipes.ts', import.meta.url);
const COUNT = 50;

it.each<[string, () => Promise<Drained>]>([
  ['Node', () => drainMany(COUNT)],
  ['the executable', async () => JSON.parse(await runFixture(drainPipes, [String(COUNT)]))],
])('are drained to their end and closed, in %s', async (_, drain) => {
  const { texts, descriptors } = await drain();
  expect(texts).toEqual(Array(COUNT).fill('hello'));
  // The first pipe, which another thread closes, may still be open.
  expect(descriptors[1]).toBeLessThanOrEqual(descriptors[0]);
});
