/** What a task holds is released once, in reverse order, each thing in its own way. */
import { expect, it } from 'vitest';
import { Holdings } from '../../src/task/holdings.ts';
import type { TaskStreams } from '../../src/task/streams/task-streams.ts';

function acquire() {
  const calls: string[] = [];
  const note = (name: string) => () => {
    calls.push(name);
  };
  const holdings = new Holdings();
  holdings.add('seat', {
    release: () => Promise.resolve().then(note('seat left')),
    close: note('seat closed'),
  });
  const streams: Partial<TaskStreams> = { close: note('streams closed') };
  holdings.add('streams', streams as TaskStreams);
  holdings.add('slot', {
    index: 0,
    ids: { base: 0, size: 1 },
    userNamespaceFd: 0,
    release: note('slot released'),
    close: note('slot closed'),
  });
  return { calls, holdings };
}

it('holdings are released in reverse order, one after the other', async () => {
  const { calls, holdings } = acquire();
  await holdings.release();
  expect(calls).toEqual(['slot released', 'streams closed', 'seat left']);
  await holdings.release();
  holdings.close();
  expect(calls).toHaveLength(3);
});

it('holdings are closed at once, and not released afterwards', async () => {
  const { calls, holdings } = acquire();
  expect(holdings.get('slot')).toBeDefined();
  expect(holdings.get('disk')).toBeUndefined();
  holdings.close();
  expect(calls).toEqual(['slot closed', 'streams closed', 'seat closed']);
  await holdings.release();
  expect(calls).toHaveLength(3);
  expect(holdings.get('slot')).toBeUndefined();
});
