/**
 * Content that compresses very well: exported as it was, from extents that are bounded. A reader of a
 * part of an extent waits until the kernel has decompressed the extent from its start. Requires: dump.erofs.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isLayerId } from '../../src/core/ids.ts';
import { layerFile } from '../../src/core/layout.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { scaled } from '../support/timing/time-scale.ts';

const lab = useExchangeLab();
const BYTES = 300_000_000;
const LONGEST_EXTENT = 262_144;
const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** The lengths of a file's extents, as its filesystem's file lists them. */
function extentsOf(file: string, path: string): readonly number[] {
  const said = execFileSync('dump.erofs', [`--path=${path}`, '-e', file], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return [...said.matchAll(/^ *\d+: +\d+\.\. *\d+ \| +(\d+) :/gm)].map(([, length]) =>
    Number(length),
  );
}

it('exports 300 MB of zeros as they are', { timeout: scaled(240_000) }, async () => {
  const zeros = Buffer.alloc(BYTES);
  await writeSmallOciLayout(`${lab.folder}/zeros`, {
    layers: [await makeBusyboxTar(), makeTar([{ path: 'zeros', content: zeros }])],
    env: ['PATH=/bin'],
  });
  await lab.import('zeros', `oci:${lab.folder}/zeros`);
  const id = lab.layersOf('zeros').at(-1) ?? '';
  if (!isLayerId(id)) throw new Error('no layer');
  const stored = layerFile(lab.installation.layout, id);
  const extents = extentsOf(stored, '/zeros');
  expect(extents.reduce((sum, length) => sum + length, 0)).toBe(BYTES);
  expect(Math.max(...extents)).toBeLessThanOrEqual(LONGEST_EXTENT);

  await lab.export('zeros', 'zeros.tar');
  const archive = `${lab.folder}/zeros.tar`;
  // As large as its content: nothing is padded or repeated.
  expect(statSync(archive).size).toBeLessThan(BYTES + 10_000_000);
  const manifest = execFileSync('tar', ['-xOf', archive, 'manifest.json'], { encoding: 'utf8' });
  const layer = JSON.parse(manifest)[0].Layers.at(-1);
  const script = `tar -xOf "$1" "$2" | tar -xOf - zeros | sha256sum`;
  const seen = execFileSync('sh', ['-c', script, 'sh', archive, layer], { encoding: 'utf8' });
  expect(seen.split(' ')[0]).toBe(hash(zeros));
});
