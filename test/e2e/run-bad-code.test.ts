/** `run --code` with archives that must not be unpacked: one clear error each, the command does not run, nothing is left. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/core/error-codes.ts';
import { isTaskId } from '../../src/core/ids.ts';
import { CLEAN, useTaskRunner } from '../support/cli/task-runner.ts';
import { buildTar, END_OF_TAR, type RawEntry, toBlocks } from '../support/images/tar-builder.ts';
import { buildZip, type RawZipEntry } from '../support/images/zip-builder.ts';
import { expectRefusal } from './support/refusal.ts';

const { installation, run, folder } = useTaskRunner();
const { layout } = installation;
const MIB = 1024 * 1024;

afterEach(async () => {
  expect(existsSync('/stackshim-escaped')).toBe(false);
  // An idle volume is named `.idle-…`.
  expect(readdirSync(join(layout.root, 'scratch')).filter(isTaskId)).toEqual([]);
  expect((await run([], ['true'])).status).toBe(0);
});

async function expectRefused(code: string, expected: ErrorCode): Promise<void> {
  const result = await run(['--code', code], ['echo', 'ran']);
  expectRefusal(result, expected);
  expect(result.record).toMatchObject({
    ...CLEAN,
    verdict: 'setup_failed',
    exitCode: null,
    error: { code: expected },
    usage: { wallMs: null },
  });
}

function makeFile(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const tarOf = (...entries: RawEntry[]) => makeFile('code.tar.gz', gzipSync(buildTar(...entries)));
const zipOf = (...entries: RawZipEntry[]) => makeFile('code.zip', buildZip(...entries));

describe('a .tar.gz', () => {
  const hostile: readonly (readonly [string, RawEntry])[] = [
    ['a name with ..', { path: '../stackshim-escaped', content: 'x' }],
    ['a name that contains ..', { path: 'a/../../stackshim-escaped', content: 'x' }],
    ['an absolute name', { path: '/stackshim-escaped', content: 'x' }],
    ['a character device', { path: 'null', type: '3' }],
    ['a block device', { path: 'disk', type: '4' }],
    ['a FIFO', { path: 'fifo', type: '6' }],
    ['an absolute link', { path: 'link', type: '2', link: '/etc/passwd' }],
    ['a link that leads outside', { path: 'a/link', type: '2', link: '../../etc/passwd' }],
    ['a hard link that leads outside', { path: 'hard', type: '1', link: '../etc/passwd' }],
    ['a hard link to nothing', { path: 'hard', type: '1', link: 'not-there' }],
  ];
  it.each(hostile)('with %s is refused', async (_, entry) => {
    await expectRefused(tarOf({ path: 'ok', content: 'x' }, entry), 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('that writes through a link it contains is refused', async () => {
    const link = { path: 'out', type: '2', link: 'ok' };
    const through = { path: 'out/stackshim-escaped', content: 'x' };
    const archive = tarOf({ path: 'ok/', type: '5' }, link, through);
    await expectRefused(archive, 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('that is cut off anywhere is refused', async () => {
    const whole = gzipSync(buildTar({ path: 'file', content: Buffer.alloc(100_000, 'ab') }));
    for (const length of [3, 40, Math.floor(whole.length / 2), whole.length - 4]) {
      const archive = makeFile('cut.tar.gz', whole.subarray(0, length));
      await expectRefused(archive, 'ERR_STACKSHIM_CODE_INVALID');
    }
    const tar = buildTar({ path: 'file', content: Buffer.alloc(100_000) });
    const inside = makeFile('cut-inside.tar.gz', gzipSync(tar.subarray(0, 50_000)));
    await expectRefused(inside, 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('that is damaged is refused', async () => {
    const damaged = gzipSync(buildTar({ path: 'file', content: 'x'.repeat(10_000) }));
    damaged.fill(0xff, 60, 70);
    await expectRefused(makeFile('bad.tar.gz', damaged), 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('with too many bytes is refused', async () => {
    // 3 GiB of zeros in 3 MB: one gzip member after the other.
    const header = gzipSync(toBlocks({ path: 'zeros', size: 3 * 1024 * MIB }));
    const zeros = gzipSync(Buffer.alloc(64 * MIB));
    const archive = Buffer.concat([header, ...Array.from({ length: 48 }, () => zeros)]);
    await expectRefused(makeFile('bomb.tar.gz', archive), 'ERR_STACKSHIM_LAYER_TOO_LARGE');
  });

  it('with too many entries is refused', async () => {
    const blocks = Array.from({ length: 100_001 }, (_, i) =>
      toBlocks({ path: `folder-${i % 317}/file-${i}` }),
    );
    const archive = makeFile('many.tar.gz', gzipSync(Buffer.concat([...blocks, END_OF_TAR])));
    await expectRefused(archive, 'ERR_STACKSHIM_LAYER_TOO_LARGE');
  });
});

describe('a .zip', () => {
  const hostile: readonly (readonly [string, RawZipEntry])[] = [
    ['a name with ..', { name: '../stackshim-escaped', content: 'x' }],
    ['an absolute name', { name: '/stackshim-escaped', content: 'x' }],
    ['a device', { name: 'null', mode: 0o020666 }],
    ['an absolute link', { name: 'link', content: '/etc/passwd', mode: 0o120777 }],
    ['a link that leads outside', { name: 'link', content: '../etc/passwd', mode: 0o120777 }],
    ['an encrypted entry', { name: 'secret', content: 'x', flags: 1 }],
    ['an entry with a wrong checksum', { name: 'wrong', content: 'x', crc: 7 }],
    ['an unknown compression', { name: 'odd', content: 'x', method: 99 }],
  ];
  it.each(hostile)('with %s is refused', async (_, entry) => {
    await expectRefused(zipOf({ name: 'ok', content: 'x' }, entry), 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('that is cut off is refused', async () => {
    const whole = buildZip({ name: 'file', content: 'x'.repeat(10_000) });
    const archive = makeFile('cut.zip', whole.subarray(0, whole.length - 30));
    await expectRefused(archive, 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('with too many bytes for its size is refused', async () => {
    const zeros = Buffer.alloc(300 * MIB);
    await expectRefused(zipOf({ name: 'zeros', content: zeros }), 'ERR_STACKSHIM_LAYER_TOO_LARGE');
  });
});

describe('a directory', () => {
  function makeDirectory(name: string): string {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  it.each([
    ['an absolute link', '/etc/passwd'],
    ['a link that leads outside', '../secret'],
  ])('with %s is refused', async (name, target) => {
    const code = makeDirectory(name.replaceAll(' ', '-'));
    symlinkSync(target, join(code, 'link'));
    await expectRefused(code, 'ERR_STACKSHIM_CODE_INVALID');
  });

  it.each([
    ['a FIFO', ['mkfifo', 'fifo']],
    ['a device', ['mknod', 'null', 'c', '1', '3']],
  ])('with %s is refused', async (name, [program = '', ...args]) => {
    const code = makeDirectory(name.replaceAll(' ', '-'));
    execFileSync(program, args, { cwd: code });
    await expectRefused(code, 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('with a socket is refused', async () => {
    const code = makeDirectory('socket');
    const server = createServer().listen(join(code, 'socket'));
    await once(server, 'listening');
    await expectRefused(code, 'ERR_STACKSHIM_CODE_INVALID');
    server.close();
  });
});

describe('any other code', () => {
  it.each([
    ['a plain tar', () => buildTar({ path: 'file', content: 'x' })],
    ['a text', () => Buffer.from('#!/bin/sh\n')],
    ['empty', () => Buffer.alloc(0)],
  ])('that is %s is refused', async (_, content) => {
    await expectRefused(makeFile('other', content()), 'ERR_STACKSHIM_CODE_INVALID');
  });

  it('that is a device is refused', async () => {
    await expectRefused('/dev/zero', 'ERR_STACKSHIM_CODE_INVALID');
  });
});
