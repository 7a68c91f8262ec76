/** Ends this process when one case of a fuzz test does not end: nothing else stops a parser in a loop. */
import { Worker } from 'node:worker_threads';

export interface Watchdog {
  /** Names the case that begins now. */
  begin(name: string, index: number): void;
  stop(): Promise<void>;
}

/** Far above the duration of any case on a busy machine. */
const STUCK_AFTER_S = 45;
const NAME_BYTES = 200;

const program = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const counter = new Int32Array(workerData.shared, 0, 2);
const name = Buffer.from(workerData.shared, 8);
let seen = -1;
let ticks = 0;
setInterval(() => {
  const now = Atomics.load(counter, 0);
  ticks = now === seen ? ticks + 1 : 0;
  seen = now;
  if (ticks < workerData.after) return;
  const what = name.toString('utf8').replace(/\\0.*/s, '');
  writeSync(2, '\\nfuzz: no end of ' + what + ', case ' + Atomics.load(counter, 1) + '\\n');
  process.kill(process.pid, 'SIGKILL');
}, 1000);
`;

export function startWatchdog(): Watchdog {
  const shared = new SharedArrayBuffer(8 + NAME_BYTES);
  const counter = new Int32Array(shared, 0, 2);
  const nameBytes = Buffer.from(shared, 8);
  let known = '';
  const worker = new Worker(program, { eval: true, workerData: { shared, after: STUCK_AFTER_S } });
  worker.unref();
  return {
    begin(name, index) {
      if (name !== known) {
        nameBytes.fill(0);
        nameBytes.write(name.slice(0, NAME_BYTES - 1));
        known = name;
      }
      Atomics.store(counter, 1, index);
      Atomics.add(counter, 0, 1);
    },
    async stop() {
      await worker.terminate();
    },
  };
}
