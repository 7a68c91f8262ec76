/** Layers on the real kernel: mounted once, deletions take effect in an overlay, damaged layers are refused. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { layerFile, layerRecordFile, mountedLayersDir } from '../../src/core/layout.ts';
import { attachLayerFile, mountLayer } from '../../src/store/layers/mount-layer.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { type LayerLab, openLayerLab } from '../support/images/layer-lab.ts';
import { buildTar } from '../support/images/tar-builder.ts';
import { makeOldKernel } from './support/old-kernel.ts';

const corrupt = expect.objectContaining({ code: 'ERR_STACKSHIM_LAYER_CORRUPT' });
const tar = buildTar({ path: 'hello', content: 'world' });

let lab: LayerLab;
beforeEach(() => {
  lab = openLayerLab();
});
afterEach(() => lab.dispose());

const mountsAt = (path: string) => readMounts().filter(({ mountPoint }) => mountPoint === path);

describe('mountLayer', () => {
  it('mounts once, read-only, without devices and setuid files, below a folder that only root can enter', async () => {
    const layer = await lab.import(tar);
    const place = lab.mount(layer);
    expect(lab.mount(layer)).toBe(place);
    expect(readFileSync(`${place}/hello`, 'utf8')).toBe('world');
    expect(() => writeFileSync(`${place}/new`, '')).toThrow(
      expect.objectContaining({ code: 'EROFS' }),
    );
    expect(mountsAt(place)).toMatchObject([{ filesystem: 'erofs' }]);
    const line = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((text) => text.includes(` ${place} `));
    expect(line?.split(' ')[5]).toMatch(/^ro,nosuid,nodev/);
    expect(statSync(mountedLayersDir(lab.layout)).mode & 0o777).toBe(0o700);
  });

  it('waits for another process that is mounting the layer', async () => {
    const layer = await lab.import(tar);
    const place = `${mountedLayersDir(lab.layout)}/${layer.record.id}`;
    // The view of a second process: the layer is locked, and mounted when the lock is free.
    const waiting = {
      ...linuxSystem,
      lockFile: () => {
        mountLayer(linuxSystem, lab.layout, layer.record.id);
        return true;
      },
    };
    expect(mountLayer(waiting, lab.layout, layer.record.id)).toBe(place);
    expect(mountsAt(place)).toHaveLength(1);
  });

  it('uses a loop device if the kernel needs one', async () => {
    const layer = await lab.import(tar);
    const place = mountLayer(makeOldKernel(), lab.layout, layer.record.id);
    expect(readFileSync(`${place}/hello`, 'utf8')).toBe('world');
    expect(mountsAt(place)).toMatchObject([{ filesystem: 'erofs' }]);
  });

  it.each<[string, (file: string, record: string) => void]>([
    ['is missing', (file) => rmSync(file)],
    ['has no record', (_, record) => rmSync(record)],
    ['is shorter than its record says', (file) => truncateSync(file, 512)],
    ['has a damaged superblock', (file) => overwrite(file, 1024, 64)],
  ])('refuses a layer that %s, and leaves nothing mounted', async (_, damage) => {
    const { record } = await lab.import(tar);
    damage(layerFile(lab.layout, record.id), layerRecordFile(lab.layout, record.id));
    expect(() => mountLayer(linuxSystem, lab.layout, record.id)).toThrow(corrupt);
    expect(mountsAt(`${mountedLayersDir(lab.layout)}/${record.id}`)).toEqual([]);
  });
});

function overwrite(file: string, at: number, bytes: number): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.alloc(bytes, 0x5a), 0, bytes, at);
  closeSync(fd);
}

describe('a file that is not a layer', () => {
  it('is refused with the kernel’s reason', () => {
    const file = `${lab.folder}/junk`;
    writeFileSync(file, randomBytes(64 * 1024));
    const target = `${lab.folder}/target`;
    mkdirSync(target);
    expect(() => attachLayerFile(linuxSystem, file, target)).toThrow(corrupt);
    expect(() => attachLayerFile(linuxSystem, `${lab.folder}/nothing`, target)).toThrow(corrupt);
    expect(() => attachLayerFile(makeOldKernel(), file, target)).toThrow(corrupt);
    expect(mountsAt(target)).toEqual([]);
  });
});

describe('deletions in an overlay', () => {
  const base = buildTar(
    { path: 'etc/motd', content: 'hello' },
    { path: 'etc/keep', content: 'kept' },
    { path: 'opt/old/file' },
    { path: 'srv/tree/deep/file' },
    { path: 'var/was-folder/file' },
    { path: 'var/was-file', content: 'x' },
  );
  const change = buildTar(
    { path: 'etc/.wh.motd' },
    { path: 'opt/.wh..wh..opq' },
    { path: 'opt/new' },
    { path: '.wh.srv' },
    { path: 'var/.wh.was-folder' },
    { path: 'var/was-folder', content: 'a file now' },
    { path: 'var/.wh.was-file' },
    { path: 'var/was-file/now', content: 'a folder now' },
    { path: 'var/.wh.never-was' },
  );

  function overlay(lowers: readonly string[]): string {
    const target = `${lab.folder}/merged`;
    for (const name of ['merged', 'upper', 'work']) mkdirSync(`${lab.folder}/${name}`);
    const lowerdir = [...lowers].reverse().join(':');
    const options = `lowerdir=${lowerdir},upperdir=${lab.folder}/upper,workdir=${lab.folder}/work`;
    execFileSync('mount', ['-t', 'overlay', '-o', options, 'none', target]);
    return target;
  }

  it('hide what lies below them, and nothing else', async () => {
    const lowers = [lab.mount(await lab.import(base)), lab.mount(await lab.import(change))];
    const merged = overlay(lowers);
    expect(readdirSync(merged).sort()).toEqual(['etc', 'opt', 'var']);
    expect(readdirSync(`${merged}/etc`)).toEqual(['keep']);
    expect(readdirSync(`${merged}/opt`)).toEqual(['new']);
    expect(readdirSync(`${merged}/var`).sort()).toEqual(['was-file', 'was-folder']);
    expect(readFileSync(`${merged}/var/was-folder`, 'utf8')).toBe('a file now');
    expect(readdirSync(`${merged}/var/was-file`)).toEqual(['now']);
    expect(existsSync(`${merged}/srv`)).toBe(false);
  });

  it('of a whole root are handled by the image: the record reports them', async () => {
    const layer = await lab.import(
      buildTar({ path: '.wh..wh..opq' }, { path: 'only', content: 'x' }),
    );
    expect(layer.record.opaqueRoot).toBe(true);
    const merged = overlay([lab.mount(layer)]);
    expect(readdirSync(merged)).toEqual(['only']);
  });
});
