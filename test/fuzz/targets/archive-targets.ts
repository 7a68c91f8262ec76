/** Parsers of archives with layers or code: tars, their headers and records, zips, compressed or not. */
import { open } from 'node:fs/promises';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { createArchiveCleaner } from '../../../src/archive/archive-cleaner.ts';
import { type ArchiveLimits, LAYER_LIMITS } from '../../../src/archive/archive-limits.ts';
import { type ArchivePolicy, LAYER_POLICY } from '../../../src/archive/archive-policy.ts';
import { cleanTar } from '../../../src/archive/clean-tar.ts';
import { leadsOutside, parseEntryPath, parseWhiteout } from '../../../src/archive/entry-path.ts';
import { parsePaxRecords } from '../../../src/archive/parse-pax-records.ts';
import { parseTarHeader } from '../../../src/archive/parse-tar-header.ts';
import type { Compression } from '../../../src/archive/read-archive.ts';
import { shiftCapability } from '../../../src/archive/shift-capability.ts';
import { createTarParser } from '../../../src/archive/tar-parser.ts';
import { CODE_LIMITS, CODE_POLICY } from '../../../src/packages/code-policy.ts';
import { packZip } from '../../../src/packages/pack-zip.ts';
import { buildExtension, buildTar, toBlocks } from '../../support/images/tar-builder.ts';
import { buildZip } from '../../support/images/zip-builder.ts';
import { workers } from '../../support/installation/workers.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { Random } from '../support/fuzz-random.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';
import { repairTar } from '../support/repair-tar.ts';

const layers = [
  buildTar(
    { path: 'bin/', type: '5', mode: 0o755 },
    { path: 'bin/sh', content: 'x'.repeat(700), mode: 0o755, uid: 0, gid: 0 },
    { path: 'bin/ash', type: '1', link: 'bin/sh' },
    { path: 'lib', type: '2', link: 'usr/lib' },
    { path: 'run/pipe', type: '6' },
    { path: 'dev/null', type: '3' },
  ),
  buildTar(
    { path: 'etc/.wh.passwd' },
    { path: 'var/.wh..wh..opq' },
    {
      path: 'short',
      content: 'c',
      pax: [
        ['path', `long/${'n'.repeat(150)}`],
        ['mtime', '1700000000.5'],
        ['uid', '60000'],
        ['SCHILY.xattr.user.a', Buffer.from([0, 1, 2])],
      ],
    },
    buildExtension('L', Buffer.from(`${'l'.repeat(120)}\0`)),
    { path: 'cut', content: '' },
    buildExtension('g', Buffer.from('13 comment=a\n')),
    { path: 'prefixed', prefix: 'a/b/c', content: 'p' },
  ),
];
const words = [
  ...[
    'ustar\0',
    '00',
    '.wh.',
    '.wh..wh..opq',
    '../',
    './',
    '/',
    'GNU.sparse.major',
    'path=',
    'size=',
  ],
  ...[
    'SCHILY.xattr.',
    'trusted.overlay.opaque',
    'linkpath=',
    'mtime=',
    '\x80\0\0\0',
    '\xff\xff\xff\xff',
  ],
];

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 4000) yield bytes.subarray(at, at + 4000);
}

interface Cleaning {
  readonly policy: ArchivePolicy;
  readonly limits: ArchiveLimits;
  readonly compression: Compression;
}

/** The output must be a valid tar, because `mkfs.erofs` reads it. */
async function cleanAndReadBack(bytes: Buffer, { policy, limits, compression }: Cleaning) {
  const cleaned = cleanTar(inPieces(bytes), { policy, limits, compression, workers });
  const pieces: Buffer[] = [];
  for await (const piece of cleaned.tar) pieces.push(piece);
  let entries = 0;
  const sink = { entry: () => (entries += 1), data: () => undefined };
  const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, sink);
  parser.push(Buffer.concat(pieces));
  parser.end();
  expect(entries).toBeGreaterThanOrEqual(cleaned.report().entries);
}

const asLayer: Cleaning = { policy: LAYER_POLICY, limits: LAYER_LIMITS, compression: 'none' };
const asCode: Cleaning = { policy: CODE_POLICY, limits: CODE_LIMITS, compression: 'gzip' };

const code = buildTar(
  { path: 'app/', type: '5' },
  { path: 'app/main.py', content: 'print(1)\n'.repeat(50) },
  { path: 'app/link', type: '2', link: 'main.py' },
  { path: '.git/config', content: 'x' },
);

/** Changed before the compression, or in the compressed bytes. */
const repack = (bytes: Buffer, random: Random): Buffer =>
  random.chance(0.8) ? gzipSync(repairTar(bytes, random), { level: 1 }) : bytes;

const zips = [
  buildZip(
    { name: 'main.py', content: 'print(1)\n'.repeat(20), mode: 0o100755 },
    { name: 'lib/', mode: 0o040755 },
    { name: 'lib/a.txt', content: 'stored', deflate: false },
    { name: 'link', content: 'main.py', mode: 0o120777 },
  ),
  buildZip({ name: 'ü.txt', content: Buffer.alloc(3000, 7) }),
  buildZip(),
];

async function readZip(files: FuzzFiles, bytes: Buffer): Promise<void> {
  const file = await open(files.write('code.zip', bytes), 'r');
  try {
    const cleaner = createArchiveCleaner({ policy: CODE_POLICY, limits: CODE_LIMITS });
    const { tar } = packZip(file, { limits: CODE_LIMITS, sizeBytes: bytes.length, cleaner });
    for await (const _ of tar);
  } finally {
    await file.close();
  }
}

export const archiveTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  {
    name: 'layer tars',
    form: 'bytes',
    weight: 8,
    samples: layers,
    words,
    repair: repairTar,
    run: (bytes) => cleanAndReadBack(bytes, asLayer),
  },
  {
    name: 'compressed layer tars',
    form: 'bytes',
    weight: 1,
    samples: layers,
    words,
    repair: repack,
    run: (bytes) => cleanAndReadBack(asGzip(bytes), { ...asLayer, compression: 'gzip' }),
  },
  {
    name: 'code tars',
    form: 'bytes',
    weight: 2,
    samples: [code],
    words,
    repair: repack,
    run: (bytes) => cleanAndReadBack(asGzip(bytes), asCode),
  },
  {
    name: 'code zips',
    form: 'bytes',
    weight: 3,
    samples: zips,
    words: [
      'PK\x03\x04',
      'PK\x01\x02',
      'PK\x05\x06',
      '../',
      '/',
      deflateRawSync('x').toString('latin1'),
    ],
    run: (bytes) => readZip(files, bytes),
  },
  {
    name: 'tar headers',
    form: 'bytes',
    weight: 2,
    samples: layers.map((tar) => tar.subarray(0, 512)),
    words,
    repair: repairTar,
    run: (bytes) => parseTarHeader(Buffer.concat([bytes, Buffer.alloc(512)]).subarray(0, 512)),
  },
  {
    name: 'PAX records',
    form: 'bytes',
    weight: 2,
    samples: [Buffer.from('13 comment=a\n25 path=a/b/c/d/e/f/g/h/i\n'), toBlocks({ path: 'a' })],
    words: ['13 ', ' ', '=', '\n', 'path', 'GNU.sparse.'],
    run: parsePaxRecords,
  },
  {
    name: 'names in archives',
    form: 'text',
    weight: 2,
    samples: ['a/b/c', './a//b/', 'a/.wh.b', 'a/.wh..wh..opq', '../a'],
    words: ['/', '.', '..', '.wh.', '.wh..wh..opq', '\0'],
    run(text) {
      const path = Buffer.from(text).toString('latin1');
      const parsed = parseEntryPath(path, LAYER_LIMITS);
      if (typeof parsed === 'string') return;
      expect(parsed.path).not.toMatch(/^\/|(^|\/)\.\.?(\/|$)|\0|\/\/|\/$/);
      parseWhiteout(parsed.path);
      leadsOutside(parsed.path, path);
    },
  },
  {
    name: 'file capabilities',
    form: 'bytes',
    weight: 0.5,
    samples: [
      Buffer.from('0100000200040000000000000000000000000000', 'hex'),
      Buffer.from('010000030004000000000000000000000000000000000070', 'hex'),
    ],
    run: (bytes) => shiftCapability(bytes, 0x70000000),
  },
];

/** An unchanged sample stands for its compressed form. */
const asGzip = (bytes: Buffer): Buffer =>
  bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b
    ? bytes
    : gzipSync(bytes, { level: 1 });
