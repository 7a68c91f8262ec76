/** Layers compressed with zstd: a compression bomb or damage ends only the decompressing program. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importLayer } from '../../src/store/layers/import-layer.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { cleanInMemory } from '../support/images/clean-in-memory.ts';
import { type LayerLab, openLayerLab } from '../support/images/layer-lab.ts';
import { makeTar } from '../support/images/small-tar.ts';

const TAR = makeTar([
  { kind: 'directory', path: 'etc' },
  { path: 'etc/a', content: 'a'.repeat(300_000) },
]);
const zstd = (bytes: Uint8Array, ...options: string[]) =>
  execFileSync('zstd', ['-q', '-c', ...options], { input: bytes, maxBuffer: 1 << 28 });

/** The running `zstd` of this process. */
const findReader = (): number | undefined =>
  readdirSync('/proc/self/task')
    .flatMap((id) => readFileSync(`/proc/self/task/${id}/children`, 'utf8').trim().split(' '))
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8') === 'zstd\n')
    .map(Number)[0];

let lab: LayerLab;
beforeAll(() => {
  lab = openLayerLab();
});
afterAll(() => lab.dispose());

describe('a zstd layer', () => {
  it('gives the same layer as its uncompressed tar', async () => {
    const plain = await lab.import(TAR);
    const packed = await lab.import(zstd(TAR), { compression: 'zstd' });
    expect(packed.record.id).toBe(plain.record.id);
    expect(packed.existed).toBe(true);
  });

  it('can consist of several frames', async () => {
    const half = TAR.length >> 1;
    const frames = [zstd(TAR.subarray(0, half)), zstd(TAR.subarray(half))];
    const { entries } = await cleanInMemory(Buffer.concat(frames), { compression: 'zstd' });
    expect(entries.map(({ path }) => path)).toEqual(['./', 'etc/', 'etc/a']);
  });

  it.each([
    ['is not zstd', TAR],
    ['is cut off', zstd(TAR).subarray(0, -10)],
    ['has bytes after its end', Buffer.concat([zstd(TAR), Buffer.from('garbage')])],
    ['is empty', Buffer.alloc(0)],
  ])('is refused if it %s', async (_, bytes) => {
    const cleaning = cleanInMemory(bytes, { compression: 'zstd' });
    await expect(cleaning).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
  });

  it('is refused if its checksum does not match', async () => {
    const damaged = zstd(TAR, '--check');
    const at = damaged.length - 2;
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    const cleaning = cleanInMemory(damaged, { compression: 'zstd' });
    await expect(cleaning).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
  });

  it('is refused if its window needs more memory than allowed', async () => {
    // A frame with one raw block of one byte, and a window of 2^41 bytes.
    const frame = Buffer.from('28b52ffd00f809000061', 'hex');
    const cleaning = cleanInMemory(frame, { compression: 'zstd' });
    await expect(cleaning).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
  });

  it('stops when its caller cancels, even while the program that reads it is stopped', async () => {
    const stop = new AbortController();
    const bytes = zstd(TAR);
    async function* input() {
      yield bytes.subarray(0, bytes.length >> 1);
      await expect.poll(findReader).toBeDefined();
      process.kill(findReader() ?? 0, 'SIGSTOP');
      setImmediate(() => stop.abort());
      yield bytes.subarray(bytes.length >> 1);
    }
    const importing = importLayer(input(), {
      ...{ layout: lab.layout, system: linuxSystem, compression: 'zstd', signal: stop.signal },
    });
    await expect(importing).rejects.toMatchObject({ kind: 'aborted' });
    expect(findReader()).toBeUndefined();
    expect(lab.leftovers()).toEqual([]);
  });

  it('is stopped if its content is too large for its size', async () => {
    const bomb = execFileSync('sh', ['-c', 'head -c 400000000 /dev/zero | zstd -q -c'], {
      maxBuffer: 1 << 28,
    });
    const importing = lab.import(bomb, { compression: 'zstd' });
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_TOO_LARGE' });
    expect(lab.leftovers()).toEqual([]);
  });
});
