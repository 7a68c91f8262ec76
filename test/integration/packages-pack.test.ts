/** Code in every form becomes the same kind of image: the program at its root, owned by root, without `.git`. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CODE_LIMITS } from '../../src/packages/code-policy.ts';
import { type PackCodeOptions, packCode } from '../../src/packages/pack-code.ts';
import { type LayerLab, openLayerLab } from '../support/images/layer-lab.ts';
import type { TreeNode } from '../support/images/read-tree.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { buildZip } from '../support/images/zip-builder.ts';
import { workers } from '../support/installation/workers.ts';

const pack = (
  source: string,
  destination: string,
  options: Omit<PackCodeOptions, 'workers'> = {},
) => packCode(source, destination, { workers, ...options });

let lab: LayerLab;
let source: string;
let destination: string;
beforeEach(() => {
  lab = openLayerLab();
  source = `${lab.folder}/source`;
  mkdirSync(source);
  mkdirSync(`${lab.folder}/task`, { mode: 0o700 });
  destination = `${lab.folder}/task/code.erofs`;
});
afterEach(() => lab.dispose());

/** Written explicitly, so that every test knows its content. */
function writeProgram(): void {
  mkdirSync(`${source}/lib`);
  mkdirSync(`${source}/.git/objects`, { recursive: true });
  mkdirSync(`${source}/lib/.git`);
  writeFileSync(`${source}/.git/config`, 'private');
  writeFileSync(`${source}/main.py`, 'print(1)\n', { mode: 0o755 });
  writeFileSync(`${source}/lib/data`, Buffer.alloc(600_000, 'data'));
  linkSync(`${source}/lib/data`, `${source}/lib/same`);
  symlinkSync('../main.py', `${source}/lib/link`);
  utimesSync(`${source}/main.py`, 1_700_000_000, 1_700_000_000);
  execFileSync('chown', ['-R', '1234:5678', source]);
  chmodSync(`${source}/main.py`, 0o4755);
  writeFileSync(Buffer.from(`${source}/\xff`, 'latin1'), 'not UTF-8');
}

const summary = (tree: ReadonlyMap<string, TreeNode>) =>
  [...tree].map(([path, { kind, mode, uid, gid }]) =>
    [kind, path, mode.toString(8), `${uid}:${gid}`].join(' '),
  );

describe('a directory', () => {
  it('is packed unchanged, but owned by root, not setuid, and without .git', async () => {
    writeProgram();
    const packed = await pack(source, destination);
    const tree = lab.readImage(destination);
    expect(summary(tree)).toEqual([
      'directory . 755 0:0',
      'directory lib 755 0:0',
      'file lib/data 644 0:0',
      'symlink lib/link 777 0:0',
      'hardlink lib/same 644 0:0',
      'file main.py 755 0:0',
      'file \xff 644 0:0',
    ]);
    expect(packed).toEqual({ entries: 7, bytes: 600_000 + 9 + 9 });
    expect(tree.get('main.py')).toMatchObject({
      content: 'print(1)\n',
      mtime: { seconds: 1_700_000_000 },
    });
    expect(tree.get('lib/data')?.content).toBe('data'.repeat(150_000));
    expect(tree.get('lib/link')?.linkTarget).toBe('../main.py');
    expect(readdirSync(`${lab.folder}/task`)).toEqual(['code.erofs']);
  });

  it('gives the same file each time', async () => {
    writeProgram();
    await pack(source, destination);
    await pack(source, `${destination}.2`);
    expect(readFileSync(destination).equals(readFileSync(`${destination}.2`))).toBe(true);
  });

  it('can be empty, can be named by a link, and keeps its times to the nanosecond', async () => {
    execFileSync('touch', ['-d', '2020-02-02T02:02:02.123456789Z', source]);
    symlinkSync(source, `${lab.folder}/by-link`);
    expect(await pack(`${lab.folder}/by-link`, destination)).toEqual({ entries: 1, bytes: 0 });
    expect(lab.readImage(destination).get('.')?.mtime).toEqual({
      seconds: 1_580_608_922,
      nanoseconds: 123_456_789,
    });
  });
});

describe('an archive', () => {
  it.each(['code.tar.gz', 'code.tgz', 'no-name-for-it'])(
    '%s of tar is recognised by its content',
    async (name) => {
      const archive = `${lab.folder}/${name}`;
      const tar = buildTar(
        { path: './', type: '5', mode: 0o755 },
        { path: './app/', type: '5', mode: 0o755, uid: 1000 },
        { path: './app/.git/config', content: 'private' },
        { path: './app/main.js', content: 'run()', mode: 0o6755, uid: 1000, gid: 1000 },
        { path: './app/same.js', type: '1', link: './app/main.js' },
        { path: './app/here', type: '2', link: 'main.js' },
      );
      writeFileSync(archive, gzipSync(tar));
      expect(await pack(archive, destination)).toEqual({ entries: 5, bytes: 12 });
      const tree = lab.readImage(destination);
      expect(summary(tree)).toEqual([
        'directory . 755 0:0',
        'directory app 755 0:0',
        'symlink app/here 644 0:0',
        'file app/main.js 755 0:0',
        'hardlink app/same.js 755 0:0',
      ]);
      expect(tree.get('app/main.js')?.content).toBe('run()');
    },
  );

  it('is accepted as npm’s tar makes it, which clients of a queue use', async () => {
    mkdirSync(`${source}/lib`);
    writeFileSync(`${source}/main.js`, 'run()', { mode: 0o755 });
    writeFileSync(`${source}/lib/${'long-'.repeat(40)}name`, 'found');
    const archive = `${lab.folder}/code.tgz`;
    await create({ cwd: source, file: archive, gzip: true, portable: true }, ['.']);
    await pack(archive, destination);
    const tree = lab.readImage(destination);
    expect(tree.get(`lib/${'long-'.repeat(40)}name`)?.content).toBe('found');
    expect(tree.get('main.js')).toMatchObject({ content: 'run()', uid: 0, gid: 0 });
  });

  it('is accepted as GNU tar makes it', async () => {
    writeProgram();
    const archive = `${lab.folder}/code.tar.gz`;
    execFileSync('tar', ['-czf', archive, '-C', source, '.']);
    await pack(archive, destination);
    await pack(source, `${destination}.2`);
    const keys = (path: string) => [...lab.readImage(path).keys()];
    expect(keys(destination)).toEqual(keys(`${destination}.2`));
  });

  it('can be a zip: stored and deflated, with and without Unix modes, with links', async () => {
    const archive = `${lab.folder}/code.zip`;
    writeFileSync(
      archive,
      buildZip(
        { name: 'app/', mode: 0o040750 },
        { name: 'app/.git/config', content: 'private' },
        { name: 'app/main.py', content: 'x'.repeat(100_000), mode: 0o104755 },
        { name: 'app/stored', content: 'as it is', deflate: false },
        { name: 'app/link', content: 'main.py', mode: 0o120777 },
        { name: 'ü.txt', content: '' },
      ),
    );
    const packed = await pack(archive, destination);
    const tree = lab.readImage(destination);
    expect(summary(tree)).toEqual([
      'directory . 755 0:0',
      'directory app 750 0:0',
      'symlink app/link 777 0:0',
      'file app/main.py 755 0:0',
      'file app/stored 644 0:0',
      'file \xc3\xbc.txt 644 0:0',
    ]);
    expect(packed.entries).toBe(5);
    expect(tree.get('app/main.py')?.content).toBe('x'.repeat(100_000));
    expect(tree.get('app/stored')?.mtime.seconds).toBe(1_580_608_922);
    expect(tree.get('app/link')?.linkTarget).toBe('main.py');
  });

  it('can be an empty zip of the zip program', async () => {
    const archive = `${lab.folder}/code.zip`;
    writeFileSync(archive, buildZip());
    expect(await pack(archive, destination)).toEqual({ entries: 0, bytes: 0 });
    expect([...lab.readImage(destination).keys()]).toEqual(['.']);
  });
});

describe('what cannot be packed: code', () => {
  it.each([
    ['does not exist', () => undefined, 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    [
      'has no known form',
      (path: string) => writeFileSync(path, '#!/bin/sh\n'),
      'ERR_STACKSHIM_CODE_INVALID',
    ],
    ['is empty', (path: string) => writeFileSync(path, ''), 'ERR_STACKSHIM_CODE_INVALID'],
    [
      'is a named pipe',
      (path: string) => execFileSync('mkfifo', [path]),
      'ERR_STACKSHIM_CODE_INVALID',
    ],
    ['is a device', (path: string) => symlinkSync('/dev/zero', path), 'ERR_STACKSHIM_CODE_INVALID'],
    [
      'is a dangling link',
      (path: string) => symlinkSync('nothing', path),
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
    ],
  ])('%s', async (_, make, code) => {
    const path = `${lab.folder}/given`;
    make(path);
    await expect(pack(path, destination)).rejects.toMatchObject({ code });
    expect(readdirSync(`${lab.folder}/task`)).toEqual([]);
  });

  it('that exceeds a limit', async () => {
    writeProgram();
    for (const [limits, limit] of [
      [{ entries: 3 }, 'entries'],
      [{ bytes: 600_000 }, 'bytes'],
    ] as const) {
      await expect(
        pack(source, destination, { limits: { ...CODE_LIMITS, ...limits } }),
      ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_TOO_LARGE', details: { limit } });
    }
    expect(readdirSync(`${lab.folder}/task`)).toEqual([]);
  });

  it('whose packing is aborted', async () => {
    writeProgram();
    await expect(pack(source, destination, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_TASK_ABORTED',
    });
    const controller = new AbortController();
    const packing = pack(source, destination, { signal: controller.signal });
    setImmediate(() => controller.abort());
    const ended = await packing.catch((error: unknown) => error);
    expect(ended).toMatchObject({ code: 'ERR_STACKSHIM_TASK_ABORTED' });
    expect(existsSync(destination)).toBe(false);
    expect(readdirSync(`${lab.folder}/task`)).toEqual([]);
  });
});
