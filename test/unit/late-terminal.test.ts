/** The last output of a terminal whose reading thread is late, as on a machine that is too busy. */
import { closeSync, constants, openSync, read, writeSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { invoke } from '../../src/sys/invoke.ts';
import { givesBytes, linuxStreams } from '../../src/sys/linux-streams.ts';
import { openTerminal } from '../../src/sys/pipe-io/bun-terminal.ts';
import { TERMINAL_LAST_MS } from '../../src/sys/pipe-io/reading.ts';

const TIOCGPTN = 0x8004_5430;
const TIOCSPTLCK = 0x4004_5431;
/** The threads of Node's pool. */
const THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4);

const open = (path: string) => openSync(path, constants.O_RDWR | constants.O_NOCTTY);

function openPair(): { readonly master: number; readonly slave: number } {
  const master = open('/dev/ptmx');
  const number = Buffer.alloc(4);
  invoke({ name: 'ioctl' }, 'ioctl', master, TIOCSPTLCK, number);
  invoke({ name: 'ioctl' }, 'ioctl', master, TIOCGPTN, number);
  return { master, slave: open(`/dev/pts/${number.readInt32LE(0)}`) };
}

/** Keeps all threads of the pool busy until the returned function is called. */
function occupyPool(): () => void {
  const pipes = Array.from({ length: THREADS }, () => linuxStreams.createPipe());
  for (const [end] of pipes) read(end, Buffer.alloc(1), 0, 1, null, () => closeSync(end));
  return () => {
    for (const [, end] of pipes) closeSync(end);
  };
}

afterEach(() => vi.useRealTimers());

it('is waited for as long as the terminal holds it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const { master, slave } = openPair();
  const free = occupyPool();
  const chunks: string[] = [];
  const terminal = openTerminal(master);
  const drain = terminal.drain((chunk) => void chunks.push(Buffer.from(chunk).toString()));
  writeSync(slave, 'late');
  closeSync(slave);
  drain.finish();
  await vi.advanceTimersByTimeAsync(5 * TERMINAL_LAST_MS);
  free();
  await drain.ended;
  expect(chunks).toEqual(['late']);
  terminal.close();
});

it('is over when another process has the terminal open and writes nothing', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const { master, slave } = openPair();
  const terminal = openTerminal(master);
  const drain = terminal.drain(() => undefined);
  drain.finish();
  await vi.advanceTimersByTimeAsync(TERMINAL_LAST_MS);
  await drain.ended;
  // The read that waits ends.
  closeSync(slave);
  terminal.close();
});

it('can be seen before it is read', () => {
  const { master, slave } = openPair();
  expect(givesBytes(master)).toBe(false);
  writeSync(slave, 'x');
  expect(givesBytes(master)).toBe(true);
  for (const fd of [slave, master]) closeSync(fd);
});
