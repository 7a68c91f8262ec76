/**
 * Starts tasks that would run for an hour, prints `running` when all of them run, and waits to be killed.
 * Arguments: root folder, run folder, stack, how many.
 */
import { runTask } from 'stackshim';

const AT_ONCE = 8;
const [root = '', run = '', stack = '', count = ''] = process.argv.slice(2);
const waiting = Array.from({ length: Number(count) });

async function startInTurn() {
  while (waiting.length > 0) {
    waiting.pop();
    await new Promise((resolve, reject) => {
      runTask(
        { stack, command: ['sleep', '3600'], memory: '64m' },
        { root, run, onEvent: ({ type }) => type === 'started' && resolve(undefined) },
      ).then((result) => reject(new Error(JSON.stringify(result))), reject);
    });
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, startInTurn));
process.stdout.write('running\n');
setInterval(() => undefined, 3_600_000);
