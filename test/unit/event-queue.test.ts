/** The events of a task's handle: every one of them for a reader that keeps up, bounded for one that does not. */
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

it('gives what came before its reader, then what comes, then ends', async () => {
  const queue = new EventQueue();
  queue.push(created);
  const reading = readAll(queue);
  queue.push(started);
  queue.push(output(3));
  queue.end();
  expect(await reading).toEqual([created, started, output(3)]);
  expect(queue.lostBytes).toBe(0);
});

it('gives a second loop what the first one left', async () => {
  const queue = new EventQueue();
  for (const event of [created, started]) queue.push(event);
  queue.end();
  for await (const event of queue) {
    expect(event).toBe(created);
    break;
  }
  expect(await readAll(queue)).toEqual([started]);
});

it('answers several readers that wait, in their order', async () => {
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

it.each([
  ['large chunks', 64 * 1024],
  ['chunks of one byte', 1],
])('without a reader holds a bounded amount of %s, and counts the rest', async (_name, length) => {
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
});

it('holds output again once some was read', async () => {
  const queue = new EventQueue();
  queue.push(output(1_000_000));
  queue.push(output(100_000));
  expect(queue.lostBytes).toBe(100_000);
  await queue[Symbol.asyncIterator]().next();
  queue.push(output(100_000));
  expect(queue.lostBytes).toBe(100_000);
});
