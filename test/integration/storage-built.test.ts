/** The cache of build steps is bounded in number, too: a queue could fill it with failures, which take hardly any bytes. */
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { BuildKey } from '../../src/core/ids.ts';
import { builtDir, builtFile, mountedBuiltDir } from '../../src/core/layout.ts';
import { collectBuilt, MOST_BUILDS } from '../../src/store/built/collect-built.ts';
import { namesIn, toOwnedName } from '../../src/sys/files.ts';
import { collectGarbage } from '../../src/upkeep/collect-garbage.ts';
import { useStorageLab } from '../support/stacks/storage-lab.ts';

const lab = useStorageLab();

const toKey = (number: number) => number.toString(16).padStart(64, '0') as BuildKey;

it('the least recently used builds go when there are too many', () => {
  const { layout, installation } = lab;
  mkdirSync(builtDir(layout), { mode: 0o700 });
  const usedAt = Math.floor(Date.now() / 1000) - MOST_BUILDS;
  for (let number = 0; number < MOST_BUILDS + 2; number += 1) {
    const path = builtFile(layout, toKey(number), 'json');
    writeFileSync(path, '');
    utimesSync(path, usedAt, usedAt + number / 10);
  }
  const bounds = { cacheBytes: 1024 ** 3, cacheAgeMs: 24 * 3_600_000 };
  const gone = collectBuilt(installation, { bounds, inUse: new Set([toKey(1)]) });
  expect(gone.map(({ key }) => key)).toEqual([toKey(0), toKey(2)]);
  expect(existsSync(builtFile(layout, toKey(0), 'json'))).toBe(false);
  expect(collectBuilt(installation, { bounds, inUse: new Set() })).toEqual([]);
});

it('gc removes the stamp that a dead process was writing, and no other', async () => {
  const folder = mountedBuiltDir(lab.layout, toKey(1));
  mkdirSync(folder, { recursive: true });
  const written = `stamp.${toOwnedName()}.tmp`;
  for (const name of ['stamp', written, 'stamp.4000000-1-0123456789abcdef.tmp']) {
    writeFileSync(`${folder}/${name}`, '');
  }
  await collectGarbage(lab.installation);
  expect(namesIn(folder).toSorted()).toEqual(['stamp', written].toSorted());
});
