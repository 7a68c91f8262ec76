/** Small files that are read completely, and what is refused in their place. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readBoundedFile } from '../../src/sys/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'stackshim-bounded-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const read = (name: string, followLink = false) =>
  readBoundedFile(path(name), { maxBytes: 8, followLink });

writeFileSync(path('small'), '12345678');
writeFileSync(path('empty'), '');
symlinkSync('small', path('link'));
symlinkSync('/dev/zero', path('endless'));

it('reads a file of exactly the maximum size', () => {
  expect(read('small')).toBe('12345678');
  expect(read('empty')).toBe('');
});

it('reads a file without a reported size, up to the same limit', () => {
  expect(readBoundedFile('/proc/self/comm', { maxBytes: 64 })).toMatch(/\n$/);
  expect(() => readBoundedFile('/proc/self/maps', { maxBytes: 8 })).toThrow('larger than 8 bytes');
});

it('follows a link only on request', () => {
  expect(() => read('link')).toThrow(expect.objectContaining({ code: 'ELOOP' }));
  expect(read('link', true)).toBe('12345678');
});

it('refuses a larger file without reading it', () => {
  writeFileSync(path('large'), '');
  truncateSync(path('large'), 2 ** 40);
  expect(() => read('large')).toThrow('larger than 8 bytes');
});

it('reads pipes and devices on request, up to the same limit', () => {
  const readAny = (name: string) =>
    readBoundedFile(name, { maxBytes: 8, followLink: true, allowPipes: true });
  expect(readAny('/dev/null')).toBe('');
  expect(() => readAny(path('endless'))).toThrow('larger than 8 bytes');
  expect(() => readAny(folder)).toThrow(expect.objectContaining({ code: 'EISDIR' }));
});

it('by default neither waits for the writer of a FIFO nor reads a device', () => {
  execFileSync('mkfifo', [path('fifo')]);
  mkdirSync(path('folder'));
  for (const name of ['fifo', 'folder']) expect(() => read(name)).toThrow('not a regular file');
  expect(() => read('endless', true)).toThrow('not a regular file');
});
