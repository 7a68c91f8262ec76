/**
 * Runs inside a test VM: executes what its host sends over a serial port, one JSON object per line.
 * In: `{id, program, args, cwd, env, timeoutMs}`. Out: `{ready}` once, then `{id, stream, text}` and at last `{id, status, signal}`.
 */
import { spawn } from 'node:child_process';
import { createReadStream, openSync, writeSync } from 'node:fs';
import { release } from 'node:os';
import { createInterface } from 'node:readline';

const port = process.argv[2] ?? '';
// The kernel allows only one open descriptor of the port.
const channel = openSync(port, 'r+');

/** @param {object} message */
function send(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  let written = 0;
  while (written < bytes.length) written += writeSync(channel, bytes, written);
}

/** @param {{id: number, program: string, args: string[], cwd: string, env: Record<string, string>, timeoutMs: number}} request */
function run({ id, program, args, cwd, env, timeoutMs }) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const deadline = setTimeout(() => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, timeoutMs);
  for (const stream of /** @type {const} */ (['stdout', 'stderr'])) {
    child[stream].setEncoding('utf8').on('data', (text) => send({ id, stream, text }));
  }
  let isOver = false;
  const end = (/** @type {object} */ how) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(deadline);
    send({ id, ...how });
  };
  child.on('error', (error) => end({ status: 127, signal: null, error: error.message }));
  child.on('exit', (status, signal) => {
    // A process that it left may hold its pipes open: only output written until now is awaited.
    const flush = setTimeout(() => end({ status, signal }), 2000);
    child.on('close', () => {
      clearTimeout(flush);
      end({ status, signal });
    });
  });
}

createInterface({ input: createReadStream('', { fd: channel }) }).on('line', (line) =>
  run(JSON.parse(line)),
);
send({ ready: { kernel: release(), node: process.version } });
