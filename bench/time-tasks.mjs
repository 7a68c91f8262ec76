/**
 * Runs `true` for each line of standard input, and prints its duration in milliseconds, including removal. Arguments: root folder, run
 * folder, stack, and the megabytes of live objects that the process holds.
 */
import { createInterface } from 'node:readline';
import { runTask } from 'stackshim';

const [root = '', run = '', stack = '', megabytes = ''] = process.argv.slice(2);
const live = [];
while (process.memoryUsage().heapUsed < Number(megabytes) * 1_000_000) {
  live.push(Array.from({ length: 10_000 }, (_, index) => ({ index, text: `${index}` })));
}
process.stdout.write('ready\n');
for await (const _ of createInterface({ input: process.stdin })) {
  const startedAt = performance.now();
  const result = await runTask({ stack, command: ['true'], memory: '64m' }, { root, run });
  const taken = performance.now() - startedAt;
  if (result.verdict !== 'succeeded' || !result.removed) throw new Error(JSON.stringify(result));
  process.stdout.write(`${taken}\n`);
}
process.exitCode = live.length === 0 ? 1 : 0;
