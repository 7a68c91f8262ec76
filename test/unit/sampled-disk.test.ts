/** Disk space that is only measured. */
import { closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSampledDisk } from '../../src/task/disk/sampled-disk.ts';
import type { TaskDisk, TaskDiskRequest } from '../../src/task/disk/task-disk.ts';

const LIMIT = { bytes: 1024 * 1024, inodes: 1000 };
const NAME = 'd'.repeat(250);
/** Deep enough for a path that is longer than PATH_MAX, 4096 bytes. */
const DEPTH = 20;

let folder: string;
let disk: TaskDisk;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sampled-disk-'));
  const places = { scratchDir: folder };
  disk = openSampledDisk({ limit: LIMIT, places } as TaskDiskRequest);
});
afterEach(() => disk.remove());

/** Makes folder below folder, each by the descriptor of the one above, and writes into the last one. */
function hide(content: Buffer): void {
  let place = openSync(folder, 'r');
  for (let depth = 0; depth < DEPTH; depth += 1) {
    const next = `/proc/self/fd/${place}/${NAME}`;
    mkdirSync(next);
    const opened = openSync(next, 'r');
    closeSync(place);
    place = opened;
  }
  writeFileSync(`/proc/self/fd/${place}/hidden`, content);
  closeSync(place);
}

test('files count', async () => {
  writeFileSync(join(folder, 'file'), Buffer.alloc(64 * 1024));
  expect(await disk.measure()).toEqual({ bytes: expect.any(Number), inodes: 2, isFull: false });
  writeFileSync(join(folder, 'file'), Buffer.alloc(2 * LIMIT.bytes));
  expect(await disk.measure()).toMatchObject({ isFull: true });
});

test('files in a tree that is deeper than any path can be count as too many', async () => {
  hide(Buffer.alloc(2 * LIMIT.bytes));
  expect(await disk.measure()).toEqual({ ...LIMIT, isFull: true });
});
