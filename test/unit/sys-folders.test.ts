/** Folders get the requested mode with any umask of the caller; root's is 077 on many hardened hosts. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureDirectorySync } from '../../src/sys/files.ts';
import { ensureDirectory } from '../../src/sys/write-file.ts';

let folder: string;
let umask: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-folders-'));
  umask = process.umask(0o077);
});

afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true });
});

const modeOf = (path: string) => statSync(join(folder, path)).mode & 0o7777;

it.each([
  ['at once', ensureDirectorySync],
  ['later', ensureDirectory],
])('every folder that is created has the given mode: %s', async (_, ensure) => {
  mkdirSync(join(folder, 'there'), { mode: 0o700 });
  await ensure(join(folder, 'there/a/b'), 0o711);
  expect(['there', 'there/a', 'there/a/b'].map(modeOf)).toEqual([0o700, 0o711, 0o711]);
  await ensure(join(folder, 'there/a'), 0o755);
  expect(modeOf('there/a')).toBe(0o711);
});
