/** A task of this process beside the tested one; it answers when asked. */
import { PassThrough } from 'node:stream';
import { expect } from 'vitest';
import { parseTaskId, type RunTaskOptions, runTask } from '../../../src/index.ts';
import { within } from './within.ts';

export const NEIGHBOUR = parseTaskId('neighbour');

export interface Neighbour {
  /** Resolves when the task has answered once more. */
  answers(): Promise<void>;
  /** Ends the task, and expects that it was not disturbed. */
  end(): Promise<void>;
}

export function startNeighbour(options: RunTaskOptions): Neighbour {
  const stdin = new PassThrough();
  let said = '';
  let asked = 0;
  let onAnswer: () => void = () => undefined;
  const stdout = {
    write(chunk: Uint8Array) {
      said += Buffer.from(chunk).toString();
      onAnswer();
    },
  };
  const task = { id: NEIGHBOUR, stack: 'busybox', command: ['cat'], interactive: true };
  const result = runTask(task, { ...options, stdin, stdout });
  return {
    async answers() {
      asked += 1;
      const answered = new Promise<void>((resolve) => {
        onAnswer = resolve;
      });
      stdin.write(`${asked}\n`);
      await within(answered);
      expect(said.endsWith(`${asked}\n`)).toBe(true);
    },
    async end() {
      stdin.end();
      expect(await result).toMatchObject({ verdict: 'succeeded', removed: true, error: null });
    },
  };
}
