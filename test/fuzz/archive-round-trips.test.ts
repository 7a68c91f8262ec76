/** Records, entries and names of archives: what one side writes, the other reads back. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LAYER_LIMITS } from '../../src/archive/archive-limits.ts';
import { LAYER_POLICY } from '../../src/archive/archive-policy.ts';
import { encodeTarEntry, TAR_TRAILER } from '../../src/archive/encode-tar-entry.ts';
import { parseWhiteout, toOpaquePath, toWhiteoutPath } from '../../src/archive/entry-path.ts';
import { parsePaxRecords } from '../../src/archive/parse-pax-records.ts';
import { paddingOf } from '../../src/archive/parse-tar-header.ts';
import type { TarEntry } from '../../src/archive/tar-entry.ts';
import { createTarParser } from '../../src/archive/tar-parser.ts';
import { buildPaxHeader } from '../support/images/tar-builder.ts';
import { configureProperties } from './support/fuzz-settings.ts';

configureProperties();

const byteName = fc
  .uint8Array({ minLength: 1, maxLength: 250 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replace(/[\0/]/g, '_'))
  .filter((name) => name !== '.' && name !== '..' && !name.startsWith('.wh.'));
const bytePath = fc.array(byteName, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));

it('PAX records', () => {
  const key = fc.stringMatching(/^[A-Za-z][A-Za-z.]{0,30}$/);
  const value = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name }), (records) => {
      const header = buildPaxHeader(records);
      const { length } = header;
      const bodyBytes = Number.parseInt(header.toString('latin1', 124, 135), 8);
      expect(length % 512).toBe(0);
      expect(parsePaxRecords(header.subarray(512, 512 + bodyBytes))).toEqual(new Map(records));
    }),
  );
});

it('entries of tars', () => {
  const entry = fc.record({
    kind: fc.constantFrom('file', 'directory', 'symlink', 'hardlink', 'fifo'),
    path: bytePath,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 0xffff_fffe }),
    gid: fc.integer({ min: 0, max: 0xffff_fffe }),
    mtime: fc.record({ seconds: fc.nat(2 ** 31 - 1), nanoseconds: fc.nat(999_999_999) }),
    content: fc.uint8Array({ maxLength: 1500 }),
    linkTarget: bytePath,
    xattrs: fc
      .dictionary(fc.stringMatching(/^user\.[a-z]{1,20}$/), fc.uint8Array({ maxLength: 100 }), {
        maxKeys: 3,
      })
      .map(
        (map) => new Map(Object.entries(map).map(([name, value]) => [name, Buffer.from(value)])),
      ),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
      const written = entries.map(({ content, linkTarget, ...rest }): TarEntry => {
        const isLink = rest.kind === 'symlink' || rest.kind === 'hardlink';
        const size = rest.kind === 'file' ? content.length : 0;
        return { ...rest, size, linkTarget: isLink ? linkTarget : '' };
      });
      const pieces = written.flatMap((one, at) => {
        const content = Buffer.from(entries[at]?.content ?? []).subarray(0, one.size);
        return [...encodeTarEntry(one), content, Buffer.alloc(paddingOf(one.size))];
      });
      const read: TarEntry[] = [];
      const sink = { entry: (one: TarEntry) => read.push(one), data: () => undefined };
      const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, sink);
      parser.push(Buffer.concat([...pieces, TAR_TRAILER]));
      parser.end();
      const plain = (one: TarEntry) => ({ ...one, path: one.path.replace(/\/$/, '') });
      expect(read.map(plain)).toEqual(written);
    }),
  );
});

it('names that mark deletions', () => {
  fc.assert(
    fc.property(bytePath, (path) => {
      expect(parseWhiteout(path)).toEqual({ kind: 'none' });
      expect(parseWhiteout(toWhiteoutPath(path))).toEqual({ kind: 'whiteout', path });
      expect(parseWhiteout(toOpaquePath(path))).toEqual({ kind: 'opaque', path });
    }),
  );
});
