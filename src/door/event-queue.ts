/** Holds events between a task, which does not wait, and a reader, which may be slow or absent. */
import type { TaskEvent } from '../task/events.ts';
import type { TaskEvents } from './task-handle.ts';

const MAX_OUTPUT_BYTES = 1024 * 1024;
/** The memory of a chunk besides its bytes, so that many chunks of one byte do not use more than a few large ones. */
const CHUNK_OVERHEAD_BYTES = 256;

const weightOf = (event: TaskEvent) =>
  event.type === 'output' ? event.chunk.length + CHUNK_OVERHEAD_BYTES : 0;

export class EventQueue implements TaskEvents {
  #held: TaskEvent[] = [];
  #heldBytes = 0;
  #lostBytes = 0;
  readonly #waiters: ((result: IteratorResult<TaskEvent>) => void)[] = [];
  #hasEnded = false;

  get lostBytes(): number {
    return this.#lostBytes;
  }

  push(event: TaskEvent): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter({ done: false, value: event });
      return;
    }
    const bytes = this.#heldBytes + weightOf(event);
    if (event.type === 'output' && bytes > MAX_OUTPUT_BYTES) {
      this.#lostBytes += event.chunk.length;
      return;
    }
    this.#heldBytes = bytes;
    if (event.type === 'progress') {
      // Of unread progress texts, only the last one matters.
      const last = this.#held.findLastIndex(({ type }) => type === 'progress');
      if (last >= 0) this.#held.splice(last, 1);
    }
    this.#held.push(event);
  }

  /** Call it when no event follows. */
  end(): void {
    this.#hasEnded = true;
    for (const waiter of this.#waiters.splice(0)) waiter({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterator<TaskEvent> {
    return { next: () => this.#next() };
  }

  #next(): Promise<IteratorResult<TaskEvent>> {
    const event = this.#held.shift();
    if (event !== undefined) {
      this.#heldBytes -= weightOf(event);
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#hasEnded) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
