/** Listeners of a caller that fail. */
import { once } from 'node:events';
import { expect, it } from 'vitest';
import type { TaskId } from '../../src/core/ids.ts';
import { safeListener, type TaskEvent } from '../../src/task/events.ts';

const event: TaskEvent = { type: 'started', id: 'a' as TaskId };

it.each([
  [
    'throws',
    () => {
      throw new Error('of the listener');
    },
  ],
  ['rejects', async () => await Promise.reject(new Error('of the listener'))],
])('a listener that %s causes a warning of the process', async (_, listener) => {
  const warned = once(process, 'warning');
  safeListener(listener)(event);
  expect((await warned)[0]).toMatchObject({ message: 'of the listener' });
});
