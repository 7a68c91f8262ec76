/** The events of a task's handle: complete for a reader that keeps up, bounded for one that does not. */
import { expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import { EventQueue } from '../../src/door/event-queue.ts';
import type { TaskEvent } from '../../src/task/events.ts';

const id = parseTaskId('t');
const started: TaskEvent = { type: 'started', id };
const created: TaskEvent = { type: 'created', id, pid: 7 };
const output = (length: number): TaskEvent => ({
  type: 'output',
  id,
  stream: 'stdout',
  chunk: new Uint8Array(length),
});

async function readAll(queue: EventQueue): Promise<readonly TaskEvent[]> {
  const read: TaskEvent[] = [];
  for await (const event of queue) read.push(event);
  return read;
}

it('a reader gets earlier events, then new ones, then the end', async () => {
  const queue = new EventQueue();
  queue.push(created);
  const reading = readAll(queue);
  queue.push(started);
  queue.push(output(3));
  queue.end();
  expect(await reading).toEqual([created, started, output(3)]);
  expect(queue.lostBytes).toBe(0);
});

it('a second loop gets the events that the first one left', async () => {
  const queue = new EventQueue();
  for (const event of [created, started]) queue.push(event);
  queue.end();
  for await (const event of queue) {
    expect(event).toBe(created);
    break;
  }
  expect(await readAll(queue)).toEqual([started]);
});

it('several waiting readers are answered in order', async () => {
  const queue = new EventQueue();
  const iterator = queue[Symbol.asyncIterator]();
  const answers = [iterator.next(), iterator.next(), iterator.next()];
  queue.push(created);
  queue.push(started);
  queue.end();
  expect(await Promise.all(answers)).toEqual([
    { done: false, value: created },
    { done: false, value: started },
    { done: true, value: undefined },
  ]);
});

it('of progress that nobody has read, a reader gets the last text', async () => {
  const queue = new EventQueue();
  const progress = (text: string): TaskEvent => ({ type: 'progress', id, text });
  for (const text of ['1', '2']) queue.push(progress(text));
  queue.push(started);
  for (const text of ['3', '4']) queue.push(progress(text));
  queue.end();
  expect(await readAll(queue)).toEqual([started, progress('4')]);
});

it.each([
  ['large chunks', 64 * 1024],
  ['chunks of one byte', 1],
])(
  'without a reader a bounded amount of %s is kept, and the rest is counted',
  async (_name, length) => {
    const queue = new EventQueue();
    const count = 20_000;
    for (let sent = 0; sent < count; sent += 1) queue.push(output(length));
    queue.push(started);
    queue.end();
    const read = await readAll(queue);
    expect(read.at(-1)).toBe(started);
    const held = read.length - 1;
    expect(held * (length + 256)).toBeLessThanOrEqual(1024 * 1024);
    expect(queue.lostBytes).toBe((count - held) * length);
  },
);

it('output is kept again after some was read', async () => {
  const queue = new EventQueue();
  queue.push(output(1_000_000));
  queue.push(output(100_000));
  expect(queue.lostBytes).toBe(100_000);
  await queue[Symbol.asyncIterator]().next();
  queue.push(output(100_000));
  expect(queue.lostBytes).toBe(100_000);
});
