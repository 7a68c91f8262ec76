/** Packing and importing have the same results on the executable's engine as on Node. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { buildTar } from '../support/images/tar-builder.ts';
import { buildZip } from '../support/images/zip-builder.ts';
import { packAndImport } from './support/pack-and-import.ts';

const folder = mkdtempSync(`${tmpdir()}/stackshim-engines-`);
afterAll(() => rmSync(folder, { recursive: true }));

const bun = new URL(
  `../../node_modules/@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}/bin/bun`,
  import.meta.url,
).pathname;
const script = new URL('../fixtures/pack-and-import.ts', import.meta.url).pathname;

it('both engines pack and import the same, even damaged archives and large inputs', async () => {
  const large = gzipSync(
    buildTar(
      { path: 'large', content: randomBytes(3 * 1024 * 1024) },
      { path: 'name', pax: [['path', Buffer.from('n\xff\xfe', 'latin1')]] },
    ),
  );
  const sources = {
    'large.tar.gz': large,
    'cut.tar.gz': large.subarray(0, large.length - 1000),
    'longer.tar.gz': Buffer.concat([large, Buffer.alloc(8)]),
    'code.zip': buildZip({ name: 'a/b', content: 'x'.repeat(500_000) }),
    'cut.zip': buildZip({ name: 'a/b', content: 'x' }).subarray(0, 60),
    'bad.zip': buildZip({ name: 'a', content: 'x', crc: 1 }),
  };
  mkdirSync(`${folder}/directory/.git`, { recursive: true });
  writeFileSync(Buffer.from(`${folder}/directory/\xff`, 'latin1'), randomBytes(700_000));
  for (const [name, bytes] of Object.entries(sources)) writeFileSync(`${folder}/${name}`, bytes);
  const paths = [`${folder}/directory`, ...Object.keys(sources).map((name) => `${folder}/${name}`)];
  for (const engine of ['bun', 'node']) mkdirSync(`${folder}/${engine}`);
  const output = execFileSync(bun, [script, `${folder}/bun`, ...paths], { encoding: 'utf8' });
  const inBun = JSON.parse(output);
  const packed = {
    entries: expect.any(Number),
    bytes: expect.any(Number),
    sha256: expect.any(String),
  };
  const imported = expect.objectContaining({ version: 1 });
  const [badCode, badLayer] = ['ERR_STACKSHIM_CODE_INVALID', 'ERR_STACKSHIM_LAYER_INVALID'];
  expect(inBun).toEqual({
    results: [
      [packed, 'ERR_STACKSHIM_SYSTEM'],
      [packed, imported],
      [badCode, badLayer],
      [badCode, badLayer],
      [packed, badLayer],
      [badCode, badLayer],
      [badCode, badLayer],
    ],
    leftovers: [],
  });
  expect(inBun).toEqual(await packAndImport(`${folder}/node`, paths));
});
