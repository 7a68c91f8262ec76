/** The log of a task: what was written is read again, within its bound. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FrameParser, LogReader } from '../../src/task/reports/log-frames.ts';
import { TaskLog } from '../../src/task/reports/task-log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-log-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function readAll(reader = new LogReader(folder)): { stream: string; bytes: Buffer }[] {
  const all: { stream: string; bytes: Buffer }[] = [];
  for (let parts = reader.read(); parts !== undefined; parts = reader.read()) {
    all.push(...parts.map(({ stream, bytes }) => ({ stream, bytes: Buffer.from(bytes) })));
  }
  return all;
}
const textOf = (parts: readonly { readonly bytes: Buffer }[]) =>
  Buffer.concat(parts.map(({ bytes }) => bytes)).toString('latin1');

it('keeps every byte of both streams in the order of arrival', async () => {
  const log = new TaskLog(folder, 1_000_000);
  const anyBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await log.write('stdout', Buffer.from('stdout 2026-01-01T00:00:00.000Z 3\nabc\n'));
  await log.write('stderr', anyBytes);
  await log.write('stdout', Buffer.from('no line end'));
  await log.close();
  expect(readAll()).toEqual([
    { stream: 'stdout', bytes: Buffer.from('stdout 2026-01-01T00:00:00.000Z 3\nabc\n') },
    { stream: 'stderr', bytes: anyBytes },
    { stream: 'stdout', bytes: Buffer.from('no line end') },
  ]);
  const bytes = 38 + 256 + 11;
  expect(log.summary()).toEqual({ bytes, droppedBytes: 0, lostBytes: 0, error: null });
});

it('stays within its bound and keeps the newest output', async () => {
  const bound = 20_000;
  const log = new TaskLog(folder, bound);
  const written = Array.from({ length: 300 }, (_, i) => `line ${i} ${'x'.repeat(200)}\n`);
  for (const line of written) await log.write('stdout', Buffer.from(line));
  await log.close();
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  expect(sizes).toHaveLength(2);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(bound / 2);
  const kept = textOf(readAll());
  expect(written.join('').endsWith(kept)).toBe(true);
  const { bytes, droppedBytes, lostBytes } = log.summary();
  expect(bytes).toBe(kept.length);
  expect(bytes + droppedBytes).toBe(written.join('').length);
  expect(bytes).toBeGreaterThan(bound / 4);
  expect(lostBytes).toBe(0);
});

it('is followed across its files', async () => {
  const log = new TaskLog(folder, 2_000);
  const reader = new LogReader(folder);
  let seen = '';
  for (let i = 0; i < 100; i += 1) {
    await log.write('stdout', Buffer.from(`${i} ${'y'.repeat(90)}\n`));
    seen += textOf(readAll(reader));
  }
  await log.close();
  reader.close();
  expect(
    seen
      .split('\n')
      .slice(0, -1)
      .map((line) => Number.parseInt(line, 10)),
  ).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

it('is read up to a frame that is cut off, or that is none', async () => {
  const log = new TaskLog(folder, 1_000_000);
  await log.write('stdout', Buffer.from('whole'));
  await log.write('stdout', Buffer.from('cut off'));
  await log.close();
  const file = join(folder, 'log.1');
  truncateSync(file, statSync(file).size - 3);
  expect(textOf(readAll())).toBe('whole');
  appendFileSync(file, 'stdout nonsense\n'.repeat(20));
  expect(textOf(readAll())).toBe('whole');
});

it('is followed beyond a frame that was cut off again because the disk was full', async () => {
  const log = new TaskLog(folder, 1_000_000);
  const reader = new LogReader(folder);
  const file = join(folder, 'log.1');
  await log.write('stdout', Buffer.from('before '));
  const { size } = statSync(file);
  appendFileSync(file, 'stdout 2026-01-01T00:00:00.000Z 50\nlost');
  expect(textOf(readAll(reader))).toBe('before ');
  truncateSync(file, size);
  await log.write('stderr', Buffer.from('after '));
  expect(textOf(readAll(reader))).toBe('after ');
  // The next file does not wait for the end of an unfinished frame.
  appendFileSync(file, 'stdout 2026-01-01T00:00:00.000Z 50\nlost');
  writeFileSync(join(folder, 'log.2'), 'stdout 2026-01-01T00:00:00.000Z 4\nnext\n');
  expect(textOf(readAll(reader))).toBe('next');
  reader.close();
  await log.close();
});

it('counts what it could not write, and goes on', async () => {
  const log = new TaskLog(folder, 4_000);
  await log.write('stdout', Buffer.alloc(1_500, 'a'));
  // The next file cannot be created.
  rmSync(folder, { recursive: true });
  await log.write('stdout', Buffer.alloc(1_000, 'b'));
  const { lostBytes, error } = log.summary();
  expect(lostBytes).toBe(1_000);
  expect(error?.code).toBe('ERR_STACKSHIM_SYSTEM');
  mkdirSync(folder);
  await log.write('stdout', Buffer.alloc(1_000, 'c'));
  await log.close();
  expect(textOf(readAll())).toBe('c'.repeat(1_000));
});

it('gives the same frames however the bytes are cut', () => {
  const frame = (text: string) => `stderr 2026-01-01T00:00:00.000Z ${text.length}\n${text}\n`;
  const bytes = Buffer.from(frame('one\n') + frame('') + frame('three'));
  for (let at = 0; at <= bytes.length; at += 1) {
    const parser = new FrameParser();
    const parts = [...parser.push(bytes.subarray(0, at)), ...parser.push(bytes.subarray(at))];
    expect(parts.map((part) => Buffer.from(part.bytes).toString())).toEqual(['one\n', '', 'three']);
  }
});
