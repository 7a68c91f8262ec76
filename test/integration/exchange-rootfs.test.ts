/** Root filesystems from elsewhere, as folders and tars: complete layers, one digest for one tree, and refusals that leave nothing. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { isLayerId } from '../../src/core/ids.ts';
import type { BuildProgress } from '../../src/exchange/progress.ts';
import { mountLayer } from '../../src/store/layers/mount-layer.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readTree } from '../support/images/read-tree.ts';
import { buildTar, END_OF_TAR, type RawEntry } from '../support/images/tar-builder.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { toStack, useExchangeLab } from '../support/stacks/exchange-lab.ts';

const lab = useExchangeLab();
const { folder, installation } = lab;
const tree = `${folder}/tree`;

/** cap_net_raw+ep, revision 2. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
/** rw for the owner and for user 1000, r for the rest. */
const ACL = Buffer.from(
  '0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff',
  'hex',
);
const RICH: readonly RawEntry[] = [
  { path: 'srv/', type: '5', mode: 0o1777, uid: 5, gid: 6, mtime: 1_600_000_001 },
  { path: 'srv/file', content: 'one', mode: 0o4755, uid: 1000, gid: 50 },
  { path: 'srv/same', type: '1', link: 'srv/file' },
  { path: 'srv/link', type: '2', link: '../etc/passwd' },
  { path: 'srv/out', type: '2', link: '/etc/shadow' },
  { path: 'srv/pipe', type: '6' },
  { path: 'srv/highest', content: 'x', uid: 65_535, gid: 65_535 },
  {
    path: 'srv/able',
    content: 'x',
    mode: 0o755,
    pax: [
      ['SCHILY.xattr.security.capability', CAPABILITY],
      ['SCHILY.xattr.user.note', 'hello'],
      ['mtime', '1600000000.123456789'],
    ],
  },
  {
    path: 'srv/shared',
    content: 'x',
    // The group's bits are those of the mask.
    mode: 0o664,
    pax: [['SCHILY.xattr.system.posix_acl_access', ACL]],
  },
  { path: Buffer.from([0x73, 0x72, 0x76, 0x2f, 0xff, 0xfe]), content: 'no UTF-8' },
];

const tarOf = async (...entries: readonly RawEntry[]): Promise<Buffer> => {
  const busybox = await makeBusyboxTar();
  return Buffer.concat([
    busybox.subarray(0, busybox.length - END_OF_TAR.length),
    buildTar(...entries),
  ]);
};

const write = (name: string, bytes: Uint8Array): string => {
  writeFileSync(`${folder}/${name}`, bytes);
  return `${folder}/${name}`;
};

function unpack(tar: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { mode: 0o755 });
  // Otherwise tar puts files into folders whose times it has set already.
  const xattrs = ['-P', '--delay-directory-restore', '--xattrs', '--xattrs-include=*'];
  execFileSync('tar', ['-x', '-p', '--numeric-owner', ...xattrs, '-f', tar, '-C', to]);
}

const treeOf = (stack: string) => {
  const [id = '', ...others] = lab.layersOf(stack);
  expect(others).toEqual([]);
  if (!isLayerId(id)) throw new Error(`${id} is no layer`);
  return readTree(mountLayer(linuxSystem, installation.layout, id));
};

const warningsOf = async (reference: string): Promise<readonly string[]> => {
  const seen: BuildProgress[] = [];
  await lab.import('warned', reference, { onProgress: (progress) => seen.push(progress) });
  return seen.flatMap((one) => (one.kind === 'warning' ? [one.text] : []));
};

let tar: string;
beforeAll(async () => {
  tar = write('rich.tar', await tarOf(...RICH));
  unpack(tar, tree);
});

describe('a root filesystem', () => {
  it('gets the same digest from a folder and from a tar, compressed or not, or as a stream', async () => {
    const { image } = await lab.import('rich', tree);
    execFileSync('zstd', ['-q', '-f', tar]);
    execFileSync('xz', ['-k', '-f', tar]);
    // Names do not matter.
    const gzip = write('rich.bin', gzipSync(readFileSync(tar)));
    for (const source of [tar, gzip, `${tar}.zst`, `${tar}.xz`, `rootfs:${tree}`]) {
      expect(await lab.import('again', source)).toMatchObject({ image });
    }
    const input = Readable.from([readFileSync(`${tar}.xz`)]);
    expect(await lab.import('piped', '-', { input })).toMatchObject({ image });
    // When it was unpacked does not matter, either.
    unpack(tar, `${folder}/later`);
    expect(await lab.import('later', `${folder}/later`)).toMatchObject({ image });
    expect(await lab.import('other', tree, { settings: { cmd: 'id' } })).not.toMatchObject({
      image,
    });
  });

  it('keeps modes, owners, times, links, attributes, access lists and capabilities', async () => {
    await lab.import('rich', tree);
    const stored = treeOf('rich');
    const before = readTree(tree);
    expect([...stored.keys()]).toEqual([...before.keys()]);
    for (const [path, node] of before) {
      if (path === '.') continue;
      expect(stored.get(path)).toEqual(node);
    }
    expect(stored.get('srv/same')).toMatchObject({ kind: 'hardlink' });
    expect(stored.get('srv/able')?.xattrs.get('security.capability')).toEqual(CAPABILITY);
    expect(stored.get('srv/shared')?.xattrs.get('system.posix_acl_access')).toEqual(ACL);
  });

  it('runs tasks with the settings that it was given', async () => {
    const settings = {
      env: { GREETING: 'hello', PATH: '/bin' },
      workdir: '/srv',
      user: 'user',
      cmd: 'echo "$GREETING"; pwd; id -u',
      labels: { 'io.stackshim.description': 'imported' },
    };
    await lab.import('set', tar, { settings });
    expect((await lab.run('set', [])).output.stdout).toBe('hello\n/srv\n1000\n');
    const { config } = resolveStack(installation.layout, { name: toStack('set') }).image;
    expect(config).toMatchObject({ labels: settings.labels, entrypoint: [] });
    await lab.import('set', tar, { settings: { entrypoint: '["echo","-n"]', cmd: '["a b"]' } });
    expect((await lab.run('set', [])).output.stdout).toBe('a b');
  });

  it('loses devices and sockets, and what docker adds; a sparse file is stored as zeros', async () => {
    const made = `${folder}/special`;
    unpack(tar, made);
    execFileSync('mknod', [`${made}/dev/null`, 'c', '1', '3']);
    writeFileSync(`${made}/.dockerenv`, '');
    writeFileSync(`${made}/srv/sparse`, '');
    truncateSync(`${made}/srv/sparse`, 5_000_000);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(`${made}/srv/socket`, resolve));
    try {
      expect(await warningsOf(made)).toEqual(['device nodes left out, 1 of them']);
    } finally {
      server.close();
    }
    const stored = treeOf('warned');
    for (const path of ['dev/null', 'srv/socket', '.dockerenv'])
      expect(stored.has(path)).toBe(false);
    expect(stored.get('srv/sparse')?.content).toBe('\0'.repeat(5_000_000));
  });

  it('contains nothing of what is mounted below it', async () => {
    const made = `${folder}/mounted`;
    unpack(tar, made);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', `${made}/proc`]);
    try {
      writeFileSync(`${made}/proc/secret`, 'secret');
      await lab.import('mounted', made);
    } finally {
      execFileSync('umount', [`${made}/proc`]);
    }
    expect([...treeOf('mounted').keys()].filter((path) => path.startsWith('proc'))).toEqual([
      'proc',
    ]);
  });

  it('is looked at twice by people when its top folder is odd', async () => {
    const made = `${folder}/closed`;
    unpack(tar, made);
    execFileSync('chmod', ['700', made]);
    expect(await warningsOf(made)).toEqual([
      'its root folder has mode 0700: in tasks, only its owner can open files',
    ]);
  });

  it('has no file that is newer than its epoch label', async () => {
    const settings = { labels: { 'io.stackshim.epoch': '1500000000' } };
    await lab.import('clamped', tree, { settings });
    const times = [...treeOf('clamped').values()].map(({ mtime }) => mtime.seconds);
    expect(Math.max(...times)).toBe(1_500_000_000);
  });
});

describe('a path', () => {
  it('of an image is imported as that image', async () => {
    await lab.export('busybox', 'image.tar');
    const archive = `${folder}/image.tar`;
    const { image } = await lab.import('archive', `oci-archive:${archive}`);
    expect(await lab.import('looked', archive)).toMatchObject({ image });
    const input = Readable.from([gzipSync(readFileSync(archive))]);
    expect(await lab.import('looked', '-', { input })).toMatchObject({ image });
    const layout = `${folder}/layout`;
    mkdirSync(layout);
    execFileSync('tar', ['-x', '-f', archive, '-C', layout, '--exclude=manifest.json']);
    expect(await lab.import('looked', layout)).toMatchObject({ image });
    await expect(
      lab.import('looked', archive, { settings: { user: 'user' } }),
    ).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SPEC_INVALID', details: { field: 'user' } });
  });

  it('that is an image and a root filesystem is refused, unless the caller says what it is', async () => {
    const made = `${folder}/both`;
    unpack(tar, made);
    copyFileSync(`${folder}/rich.tar`, `${folder}/both.tar`);
    writeFileSync(`${made}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
    // At the end of the tar, where the first look does not reach.
    execFileSync('tar', ['-r', '-f', `${folder}/both.tar`, '-C', made, 'oci-layout']);
    const before = lab.state();
    for (const source of [made, `${folder}/both.tar`]) {
      await expect(lab.import('both', source)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_IMAGE_INVALID',
        hint: expect.stringContaining(`rootfs:${source}`),
      });
    }
    expect(lab.state()).toEqual(before);
    await lab.import('both', `rootfs:${made}`);
    expect(treeOf('both').has('oci-layout')).toBe(true);
  });
});

describe('is refused, and nothing is left:', () => {
  const refuse = async (reference: string, code: string, more: object = {}, message = /./) => {
    const before = lab.state();
    await expect(lab.import('refused', reference, more)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(lab.state()).toEqual(before);
  };

  it.each([
    ['a file of nobody', [{ path: 'srv/far', uid: 65_536 }], /"srv\/far": belongs to user 65536/],
    ['a group of nobody', [{ path: 'srv/far', gid: 70_000 }], /"srv\/far": belongs to group 70000/],
    ['a deletion', [{ path: 'etc/.wh.passwd' }], /name starts with ".wh."/],
    ['a name that leads outside', [{ path: '../x' }], /".."/],
    ['a sparse entry', [{ path: 'x', type: 'S' }], /sparse/],
    [
      'an overlay attribute',
      [{ path: 'x', pax: [['SCHILY.xattr.trusted.overlay.opaque', 'y']] }],
      /overlay/,
    ],
    [
      'a name below a link',
      [{ path: 'l', type: '2', link: '/etc' }, { path: 'l/x' }],
      /lies below/,
    ],
  ] as const)('a tar with %s', async (_, entries, message) => {
    const made = write('bad.tar', await tarOf(...(entries as readonly RawEntry[])));
    await refuse(made, 'ERR_STACKSHIM_LAYER_INVALID', {}, message);
  });

  it('a folder with a file of nobody, with a name of a deletion, or of too many bytes', async () => {
    const made = `${folder}/bad`;
    unpack(tar, made);
    execFileSync('chown', ['100000:100000', `${made}/srv/highest`]);
    await refuse(made, 'ERR_STACKSHIM_LAYER_INVALID', {}, /"srv\/highest": belongs to user 100000/);
    unpack(tar, made);
    writeFileSync(`${made}/etc/.wh.passwd`, '');
    await refuse(made, 'ERR_STACKSHIM_LAYER_INVALID', {}, /\.wh\./);
    unpack(tar, made);
    writeFileSync(`${made}/huge`, '');
    truncateSync(`${made}/huge`, 2 ** 40);
    await refuse(made, 'ERR_STACKSHIM_LAYER_TOO_LARGE');
  });

  it('what is no root filesystem', async () => {
    const empty = `${folder}/empty`;
    mkdirSync(empty);
    await refuse(empty, 'ERR_STACKSHIM_IMAGE_INVALID', {}, /empty/);
    await refuse(write('empty.tar', END_OF_TAR), 'ERR_STACKSHIM_IMAGE_INVALID', {}, /empty/);
    await refuse(write('text', Buffer.from('text')), 'ERR_STACKSHIM_IMAGE_INVALID', {}, /tar/);
    await refuse(write('nothing', Buffer.alloc(0)), 'ERR_STACKSHIM_IMAGE_INVALID');
    await refuse(write('bz2', Buffer.from('BZh91AY')), 'ERR_STACKSHIM_IMAGE_INVALID', {}, /bzip2/);
    await refuse(`${folder}/none`, 'ERR_STACKSHIM_INPUT_NOT_FOUND');
    await refuse('/dev/zero', 'ERR_STACKSHIM_INPUT_NOT_FOUND', {}, /neither/);
    execFileSync('mkfifo', [`${folder}/fifo`]);
    await refuse(`${folder}/fifo`, 'ERR_STACKSHIM_INPUT_NOT_FOUND', {}, /neither/);
    const cut = readFileSync(tar).subarray(0, 300_000);
    await refuse(write('cut.tar', cut), 'ERR_STACKSHIM_LAYER_INVALID');
    for (const pack of ['gzip', 'zstd', 'xz']) {
      const packed = execFileSync(pack, ['-c', tar], { maxBuffer: 1 << 28 });
      await refuse(
        write('cut', packed.subarray(0, packed.length / 2)),
        'ERR_STACKSHIM_LAYER_INVALID',
      );
    }
  });

  it('a stream that fails, is missing, or is no archive', async () => {
    await refuse('-', 'ERR_STACKSHIM_SPEC_INVALID');
    const failing = new Readable({
      read() {
        this.destroy(new Error('the other side is gone'));
      },
    });
    await refuse('-', 'ERR_STACKSHIM_INPUT_NOT_FOUND', { input: failing }, /other side/);
    const input = Readable.from([Buffer.from('x')]);
    await refuse('-', 'ERR_STACKSHIM_IMAGE_INVALID', { input }, /standard input/);
  });

  it('a setting that no task could use', async () => {
    for (const settings of [
      { env: { 'A=B': 'x' } },
      { workdir: 'srv' },
      { user: 'a b' },
      { cmd: '[1]' },
      { cmd: '["x"' },
      { entrypoint: '' },
      { labels: { 'a b': 'x' } },
      { cmd: ['x'.repeat(70_000)] },
    ]) {
      await refuse(tar, 'ERR_STACKSHIM_SPEC_INVALID', { settings });
    }
    const settings = { labels: { 'io.stackshim.epoch': 'soon' } };
    await refuse(tar, 'ERR_STACKSHIM_IMAGE_INVALID', { settings });
  });

  it('an import that its caller cancels, before and while its stream is silent', async () => {
    const stop = new AbortController();
    const silent = new Readable({ read: () => undefined });
    const more = { input: silent, signal: stop.signal };
    const refused = refuse('-', 'ERR_STACKSHIM_BUILD_ABORTED', more);
    setImmediate(() => stop.abort());
    await refused;
    silent.destroy();
    await refuse(tree, 'ERR_STACKSHIM_BUILD_ABORTED', { signal: AbortSignal.abort() });
  });

  it('a root filesystem whose smoke command fails', async () => {
    await refuse(tree, 'ERR_STACKSHIM_SMOKE_FAILED', { smoke: 'exit 3' });
  });
});
