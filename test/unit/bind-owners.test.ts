/** Who owns the files that tasks write into a bind, and which host ids its mount maps. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  DEFAULT_BIND_OWNER_ID,
  FILE_SERVER_ID,
  FIRST_SLOT_ID,
  FIRST_WORKER_ID,
  INVALID_ID,
  isReservedId,
  RESERVED_IDS,
  WORKER_ID_COUNT,
} from '../../src/core/host-ids.ts';
import type { IdMap } from '../../src/core/mount.ts';
import { judgeBindSources } from '../../src/doctor/check-bind-sources.ts';
import { findFolderOfRoot } from '../../src/sys/closed-folder.ts';
import { parseMountinfo } from '../../src/sys/mountinfo.ts';
import { ownerOfWritten, toOwnerMap } from '../../src/task/bind-owners.ts';

const USER = FIRST_SLOT_ID + 3 * 65_536 + 1000;
const FALLBACK = DEFAULT_BIND_OWNER_ID;

describe('the owner of what is written', () => {
  it.each([
    ['is the owner of the source', [1000, 1001], [1000, 1001]],
    ['is neither root nor a user who shares root’s directories', [0, 50], [FALLBACK, FALLBACK]],
    ['is not in root’s group', [1000, 0], [1000, FALLBACK]],
    ['can be nobody', [65_534, 65_534], [65_534, 65_534]],
  ])('%s', (_, [uid = 0, gid = 0], [ownUid, ownGid]) => {
    expect(ownerOfWritten('/data', { uid, gid }, FALLBACK)).toEqual({ uid: ownUid, gid: ownGid });
  });

  it.each([
    [FIRST_SLOT_ID, 1000],
    [1000, USER],
    [FIRST_WORKER_ID, 0],
    [FIRST_WORKER_ID + WORKER_ID_COUNT - 1, 1000],
    [FILE_SERVER_ID, 1000],
  ])('is never one of stackshim’s own ids: %i:%i', (uid, gid) => {
    expect(() => ownerOfWritten('/data', { uid, gid }, FALLBACK)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
    );
  });
});

/** The id that a task sees for an id on disk; undefined if it is not mapped. */
function seen(maps: readonly IdMap[], id: number): number | undefined {
  const map = maps.find(({ from, size }) => id >= from && id < from + size);
  return map && map.to + id - map.from;
}

describe.each([1, 1000, 65_534, FALLBACK, INVALID_ID - 1])('the mapping for owner %i', (owner) => {
  const maps = toOwnerMap(owner, USER);

  it('maps the owner to the task’s user, and leaves other users as they are', () => {
    expect(seen(maps, owner)).toBe(USER);
    for (const id of [0, 2, 1001, 4_000_000_000]) expect(seen(maps, id)).toBe(id);
    expect(seen(maps, INVALID_ID)).toBeUndefined();
  });

  it('lets only that user of a slot create files', () => {
    const made = maps.filter(({ to, size }) =>
      RESERVED_IDS.some(([first, end]) => to < end && to + size > first),
    );
    expect(made).toEqual([{ from: owner, to: USER, size: 1 }]);
    expect(maps.some(({ from }) => isReservedId(from))).toBe(false);
  });

  it('maps no id twice in either direction', () => {
    for (const side of ['from', 'to'] as const) {
      const sorted = maps.toSorted((a, b) => a[side] - b[side]);
      for (const [index, map] of sorted.entries()) {
        const next = sorted[index + 1];
        if (next !== undefined) expect(map[side] + map.size).toBeLessThanOrEqual(next[side]);
      }
    }
  });

  it('has an id for files that a file server creates', () => {
    const base = USER - 1000;
    expect(seen(toOwnerMap(owner, USER, base), FILE_SERVER_ID)).toBe(base);
    expect(seen(maps, FILE_SERVER_ID)).toBeUndefined();
  });
});

describe('the doctor’s check of bind sources', () => {
  const mounts = parseMountinfo(
    [
      '1 0 8:1 / / rw - ext4 /dev/a rw',
      '2 1 8:2 / /srv rw,nosuid - ext4 /dev/b rw',
      '3 2 8:3 / /srv/open rw - ext4 /dev/c rw',
      '4 1 8:4 / /data rw - ext4 /dev/d rw',
      '5 4 8:4 / /data rw,nosuid - ext4 /dev/d rw',
    ].join('\n'),
  );

  it.each([
    [undefined, 'ok'],
    [[], 'ok'],
    [['/srv/closed', '/data/a'], 'ok'],
    [['/home'], 'warn'],
    [['/srv/open/a'], 'warn'],
    [['/srv'], 'warn'],
    [['/'], 'warn'],
    [['/srvx'], 'warn'],
  ])('%j: %s', (sources, status) => {
    expect(judgeBindSources(sources, mounts, () => undefined).status).toBe(status);
  });

  it('passes a source below a directory that only root may enter', () => {
    const findClosed = (path: string) => (path.startsWith('/home/own/') ? '/home/own' : undefined);
    expect(judgeBindSources(['/home/own/a'], mounts, findClosed).status).toBe('ok');
    expect(judgeBindSources(['/home/own/a', '/home'], mounts, findClosed).message).toMatch(
      /: \/home$/,
    );
  });

  it('names sources that are not mounted nosuid', () => {
    const { message } = judgeBindSources(['/data', '/home', '/srv/open'], mounts, () => undefined);
    expect(message).toMatch(/: \/home, \/srv\/open$/);
  });
});

describe('a directory that only root may enter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stackshim-closed-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    [0o755, false],
    [0o711, false],
    // An access control list may grant as much as the group's bits say.
    [0o750, false],
    [0o701, false],
    [0o700, true],
    [0o744, true],
  ])('mode %o: %s', (mode, isClosed) => {
    chmodSync(folder, 0o755);
    const above = join(folder, mode.toString(8));
    mkdirSync(join(above, 'source'), { recursive: true });
    chmodSync(above, mode);
    const found = findFolderOfRoot(join(above, 'source'));
    // The unit tests need no root: another user's directories are never root's.
    const isRoot = process.getuid?.() === 0;
    expect(found).toBe(isRoot && isClosed ? above : undefined);
  });
});
