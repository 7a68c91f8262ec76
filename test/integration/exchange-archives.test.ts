/** Images in archives: exported and imported with complete layers, and refused if unsound. */
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { isLayerId } from '../../src/core/ids.ts';
import { mountLayer } from '../../src/store/layers/mount-layer.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readTree } from '../support/images/read-tree.ts';
import { sha256, writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { buildTar, type RawEntry, toBlocks } from '../support/images/tar-builder.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';

const lab = useExchangeLab();
const skopeo = (...args: string[]) =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { encoding: 'utf8', stdio: 'pipe' });

/** cap_net_raw+ep, revision 2. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LONG = `${'long/'.repeat(30)}${'n'.repeat(200)}`;

/** A layer on top of busybox with every feature of layers. */
const RICH = buildTar(
  { path: 'deep/', type: '5', mode: 0o1777, uid: 5, gid: 6, mtime: 1_600_000_001 },
  { path: 'deep/file', content: 'one', mode: 0o4755, uid: 1000, gid: 50 },
  { path: 'deep/same', type: '1', link: 'deep/file' },
  { path: 'deep/link', type: '2', link: '../etc/passwd' },
  { path: 'deep/pipe', type: '6' },
  { path: 'deep/empty' },
  {
    path: 'deep/able',
    content: 'x',
    mode: 0o755,
    pax: [
      ['SCHILY.xattr.security.capability', CAPABILITY],
      ['SCHILY.xattr.user.note', 'hello'],
      ['mtime', '1600000000.123456789'],
    ],
  },
  { path: 'x', content: 'long', pax: [['path', LONG]] },
  { path: Buffer.from([0x64, 0x65, 0x65, 0x70, 0x2f, 0xff, 0xfe]), content: 'no UTF-8' },
  { path: '.wh.root' },
  { path: 'home/', type: '5' },
  { path: 'home/.wh..wh..opq' },
  { path: 'home/new', content: 'new' },
);

async function installRich(): Promise<void> {
  await lab.export('busybox', 'busybox.tar');
  const archive = execFileSync('tar', [
    '-xOf',
    `${lab.folder}/busybox.tar`,
    '--wildcards',
    'manifest.json',
  ]);
  const layer = JSON.parse(archive.toString())[0].Layers[0];
  const lower = execFileSync('tar', ['-xOf', `${lab.folder}/busybox.tar`, layer], {
    maxBuffer: 1 << 28,
  });
  const directory = `${lab.folder}/rich`;
  await mkdir(directory);
  await writeSmallOciLayout(directory, {
    layers: [lower, RICH],
    env: ['PATH=/bin:/usr/bin', 'A=b'],
  });
  await lab.import('rich', `oci:${directory}:latest`);
}

beforeAll(installRich);

const treeOf = (id: string) => {
  if (!isLayerId(id)) throw new Error(`${id} is no layer`);
  return readTree(mountLayer(linuxSystem, lab.installation.layout, id));
};

describe('an exported stack', () => {
  it('is imported as the same layers', async () => {
    await lab.export('rich', 'rich.tar');
    const imported = await lab.import('rich-again', `oci-archive:${lab.folder}/rich.tar`);
    expect(lab.layersOf('rich-again').map(treeOf)).toEqual(lab.layersOf('rich').map(treeOf));
    const again = await lab.export('rich-again', 'rich-again.tar');
    expect(again.digest).toBe(imported.image);
    const [, top = ''] = lab.layersOf('rich-again');
    const tree = treeOf(top);
    expect(tree.get('deep/able')).toMatchObject({
      mtime: { seconds: 1_600_000_000, nanoseconds: 123_456_789 },
    });
    expect(tree.get('deep/able')?.xattrs.get('security.capability')).toEqual(CAPABILITY);
    expect(tree.get('deep/same')).toMatchObject({ kind: 'hardlink' });
    expect(tree.get(LONG)?.content).toBe('long');
    expect(tree.get('root')).toMatchObject({ kind: 'device', isZeroDevice: true });
  });

  it('looks the same to its tasks', async () => {
    const seen = await lab.run('rich-again', [
      'sh',
      '-c',
      'echo $A; ls -A /home; ls -d /root; cat /deep/same',
    ]);
    expect(seen).toMatchObject({ exitCode: 0, output: { stdout: 'b\nnew\none' } });
  });

  it('gives the same archive each time', async () => {
    await lab.export('rich', 'first.tar');
    await lab.export('rich', 'second.tar');
    const [first, second] = ['first', 'second'].map((name) =>
      readFileSync(`${lab.folder}/${name}.tar`),
    );
    expect(sha256(first ?? '')).toBe(sha256(second ?? ''));
  });

  it('can be read by skopeo as both kinds of archive', async () => {
    const { digest } = await lab.export('rich', 'both.tar');
    const oci = JSON.parse(skopeo('inspect', `oci-archive:${lab.folder}/both.tar`));
    expect(oci).toMatchObject({ Digest: digest, Os: 'linux', Env: ['PATH=/bin:/usr/bin', 'A=b'] });
    const docker = JSON.parse(
      skopeo('inspect', '--config', `docker-archive:${lab.folder}/both.tar`),
    );
    expect(docker.rootfs.diff_ids).toEqual(oci.Layers);
  });

  it('does not replace an older file if it cannot be written', async () => {
    await expect(lab.export('rich', 'no/such/folder.tar')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_INPUT_NOT_FOUND',
    });
    await expect(lab.export('nothing', 'nothing.tar')).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
    expect(lab.state()).toMatchObject({ tmp: [], leases: [] });
  });

  it('contains nothing that an opaque root hides', async () => {
    const [busybox = Buffer.alloc(0)] = exportedLayers('busybox.tar');
    const opaque = Buffer.concat([toBlocks({ path: '.wh..wh..opq' }), busybox]);
    const below = makeTar([{ path: 'secret', content: 'x' }]);
    const directory = `${lab.folder}/opaque`;
    await mkdir(directory);
    await writeSmallOciLayout(directory, { layers: [below, opaque] });
    await lab.import('opaque', `oci:${directory}`);
    expect(lab.layersOf('opaque')).toEqual(lab.layersOf('busybox'));
    await lab.export('opaque', 'opaque.tar');
    expect(exportedLayers('opaque.tar')).toEqual([busybox]);
  });
});

function exportedLayers(name: string): readonly Buffer[] {
  const file = `${lab.folder}/${name}`;
  const manifest = execFileSync('tar', ['-xOf', file, 'manifest.json']).toString();
  return JSON.parse(manifest)[0].Layers.map((path: string) =>
    execFileSync('tar', ['-xOf', file, path], { maxBuffer: 1 << 28 }),
  );
}

describe('an image from another tool', () => {
  it('can be an archive that skopeo writes for docker', async () => {
    await lab.export('rich', 'for-docker.tar');
    const target = `${lab.folder}/docker-save.tar`;
    skopeo(
      'copy',
      `oci-archive:${lab.folder}/for-docker.tar`,
      `docker-archive:${target}:some/name:v1`,
    );
    const imported = await lab.import('from-docker', `docker-archive:${target}`);
    expect(lab.layersOf('from-docker').map(treeOf)).toEqual(lab.layersOf('rich').map(treeOf));
    const config = execFileSync('tar', ['-xOf', target, `${imported.image.slice(7)}.json`]);
    expect(sha256(config)).toBe(imported.image);
    const named = await lab.import('named', `docker-archive:${target}:docker.io/some/name:v1`);
    expect(named.image).toBe(imported.image);
  });

  it.each(['gzip', 'zstd'] as const)('can have %s layers', async (format) => {
    await lab.export('rich', `plain-${format}.tar`);
    const directory = `${lab.folder}/packed-${format}`;
    skopeo(
      'copy',
      '--dest-compress',
      '--dest-compress-format',
      format,
      `oci-archive:${lab.folder}/plain-${format}.tar`,
      `oci:${directory}:x`,
    );
    const index = JSON.parse(readFileSync(`${directory}/index.json`, 'utf8'));
    const manifest = readFileSync(
      `${directory}/blobs/${index.manifests[0].digest.replace(':', '/')}`,
    );
    expect(manifest.toString().match(/tar\+\w+/g)).toEqual([`tar+${format}`, `tar+${format}`]);
    await lab.import(`packed-${format}`, `oci:${directory}:x`);
    expect(lab.layersOf(`packed-${format}`).map(treeOf)).toEqual(lab.layersOf('rich').map(treeOf));
  });

  it.each(['gzip', 'zstd'])('can be in an archive that is %s as a whole', async (program) => {
    await lab.export('busybox', `whole-${program}.tar`);
    const file = `${lab.folder}/whole-${program}.tar`;
    const packed = `${file}.packed`;
    writeFileSync(packed, execFileSync(program, ['-c', file], { maxBuffer: 1 << 28 }));
    await lab.import(`whole-${program}`, `oci-archive:${packed}`);
    expect(lab.layersOf(`whole-${program}`)).toEqual(lab.layersOf('busybox'));
    expect(lab.state()).toMatchObject({ tmp: [] });
  });

  it('can name one layer twice', async () => {
    const [busybox = Buffer.alloc(0)] = exportedLayers('busybox.tar');
    const between = makeTar([{ path: 'between', content: 'x' }]);
    const twice = makeTar([{ path: 'twice', content: 'x' }]);
    const directory = `${lab.folder}/twice`;
    await mkdir(directory);
    await writeSmallOciLayout(directory, { layers: [busybox, twice, between, twice] });
    await lab.import('twice', `oci:${directory}`);
    expect(lab.layersOf('twice')).toHaveLength(3);
    expect(await lab.run('twice', ['ls', '/between', '/twice'])).toMatchObject({ exitCode: 0 });
  });

  it('can be imported twice at the same time', async () => {
    const reference = `oci-archive:${lab.folder}/busybox.tar`;
    const both = await Promise.all([lab.import('both', reference), lab.import('both', reference)]);
    expect(both.map(({ revision }) => revision).sort()).toEqual([1, 2]);
    expect(await lab.run('both', ['true'])).toMatchObject({ exitCode: 0 });
    expect(lab.state()).toMatchObject({ tmp: [], leases: [] });
  });

  it('becomes current only if its smoke command passes', async () => {
    await lab.export('busybox', 'smoke.tar');
    const before = lab.state();
    const failing = lab.import('smoke', `oci-archive:${lab.folder}/smoke.tar`, { smoke: 'exit 3' });
    await expect(failing).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SMOKE_FAILED',
      details: { exitCode: 3 },
    });
    const hanging = lab.import('smoke', `oci-archive:${lab.folder}/smoke.tar`, {
      smoke: '["sleep","1000"]',
      smokeTimeoutMs: 300,
    });
    await expect(hanging).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SMOKE_FAILED',
      details: { verdict: 'timed_out' },
    });
    expect(lab.state()).toEqual(before);
    await expect(lab.run('smoke', ['true'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
  });
});

/** The entries of a sound archive by name, to be changed. */
function entriesOf(name: string): Map<string, Buffer> {
  const file = `${lab.folder}/${name}`;
  const names = execFileSync('tar', ['-tf', file]).toString().trim().split('\n');
  return new Map(
    names.map((path) => [path, execFileSync('tar', ['-xOf', file, path], { maxBuffer: 1 << 28 })]),
  );
}

const write = (entries: Iterable<RawEntry | Buffer>) =>
  writeFileSync(`${lab.folder}/unsound.tar`, buildTar(...entries));
const toEntries = (files: Map<string, Buffer>): RawEntry[] =>
  [...files].map(([path, content]) => ({ path, content }));

type Unsound = (files: Map<string, Buffer>) => void;

const malformed: Record<string, Unsound> = {
  'is empty': () => writeFileSync(`${lab.folder}/unsound.tar`, ''),
  'is not a tar': () => writeFileSync(`${lab.folder}/unsound.tar`, Buffer.alloc(2000, 'x')),
  'is cut off': (files) => {
    write(toEntries(files));
    truncateSync(`${lab.folder}/unsound.tar`, 100_000);
  },
  'is gzip that is cut off': (files) =>
    writeFileSync(
      `${lab.folder}/unsound.tar`,
      gzipSync(buildTar(...toEntries(files))).subarray(0, 5000),
    ),
  'has a name with ".."': (files) =>
    write([...toEntries(files), { path: '../evil', content: 'x' }]),
  'has an absolute name': (files) =>
    write([...toEntries(files), { path: '/etc/evil', content: 'x' }]),
  'has a name twice': (files) =>
    write([...toEntries(files), { path: 'index.json', content: '{}' }]),
  'has a hard link': (files) =>
    write([...toEntries(files), { path: 'a', type: '1', link: 'index.json' }]),
  'has a device': (files) => write([...toEntries(files), { path: 'a', type: '3' }]),
  'has a link that leads outside': (files) =>
    write([...toEntries(files), { path: 'a', type: '2', link: '../../etc/passwd' }]),
  'has a link to an absolute name': (files) =>
    write([...toEntries(files), { path: 'a', type: '2', link: '/etc/passwd' }]),
  'has too many entries': (files) =>
    write([
      ...toEntries(files),
      ...Array.from({ length: 10_001 }, (_, at) => ({ path: `f${at}` })),
    ]),
  'states a wrong size': (files) =>
    write([...toEntries(files), { path: 'big', size: 0o77777777777 }]),
  'has two sizes for one entry': (files) =>
    write([...toEntries(files), { path: 'a', content: 'x', pax: [['size', '512']] }]),
  'has no index': (files) => {
    files.delete('index.json');
    files.delete('manifest.json');
    write(toEntries(files));
  },
  'has content that does not match its digest': (files) => {
    for (const [path, content] of files) {
      if (path.startsWith('blobs/'))
        files.set(path, Buffer.concat([content.subarray(0, -1), Buffer.from('!')]));
    }
    write(toEntries(files));
  },
};

describe('an unsound archive', () => {
  let sound: ReadonlyMap<string, Buffer>;
  beforeAll(async () => {
    await lab.export('busybox', 'sound.tar');
    sound = entriesOf('sound.tar');
  });

  it.each(Object.keys(malformed))('is refused when it %s', async (what) => {
    const before = lab.state();
    malformed[what]?.(new Map(sound));
    for (const kind of ['oci-archive', 'docker-archive']) {
      const importing = lab.import('busybox', `${kind}:${lab.folder}/unsound.tar`);
      await expect(importing).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_STACKSHIM_(IMAGE|LAYER)_INVALID$/),
      });
    }
    expect(lab.state()).toEqual(before);
  });

  it('is refused if a layer is a compression bomb', async () => {
    const before = lab.state();
    const bomb = gzipSync(Buffer.alloc(400 * 1024 * 1024));
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [sha256('x')] },
    });
    write([
      { path: 'layer.tar', content: bomb },
      { path: 'config.json', content: config },
      {
        path: 'manifest.json',
        content: JSON.stringify([{ Config: 'config.json', Layers: ['layer.tar'] }]),
      },
    ]);
    const importing = lab.import('busybox', `docker-archive:${lab.folder}/unsound.tar`);
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_TOO_LARGE' });
    writeFileSync(`${lab.folder}/unsound.tar`, bomb);
    const whole = lab.import('busybox', `oci-archive:${lab.folder}/unsound.tar`);
    await expect(whole).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_TOO_LARGE' });
    expect(lab.state()).toEqual(before);
  });

  it('is refused if its config does not match its digest', async () => {
    const files = new Map(sound);
    const [{ Config }] = JSON.parse(files.get('manifest.json')?.toString() ?? '');
    files.set(Config, Buffer.concat([files.get(Config) ?? Buffer.alloc(0), Buffer.from(' ')]));
    write(toEntries(files));
    const importing = lab.import('busybox', `docker-archive:${lab.folder}/unsound.tar`);
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_IMAGE_INVALID' });
  });

  it('that does not exist is reported as such', async () => {
    const importing = lab.import('busybox', 'oci-archive:/no/such/file');
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_INPUT_NOT_FOUND' });
  });

  it('can be cancelled while it is read', async () => {
    const before = lab.state();
    const stop = new AbortController();
    const importing = lab.import('busybox', `docker-archive:${lab.folder}/sound.tar`, {
      signal: stop.signal,
      onProgress: ({ kind }) => (kind === 'step' ? stop.abort() : undefined),
    });
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_BUILD_ABORTED' });
    expect(lab.state()).toEqual(before);
  });
});
