/** Which mounts are on a file or directory, by the mount table alone. */
import { expect, it } from 'vitest';
import { findMountsOn } from '../../src/sys/detach-copies.ts';
import { parseMountinfo } from '../../src/sys/mountinfo.ts';

type Row = readonly [id: number, parent: number, device: string, root: string, mountPoint: string];

const toTable = (...rows: readonly Row[]) =>
  parseMountinfo(
    rows
      .map(
        ([id, parent, device, root, at]) => `${id} ${parent} ${device} ${root} ${at} rw - x y rw`,
      )
      .join('\n'),
  );

const ROOT: Row = [1, 0, '8:1', '/', '/'];
const LAYER: Row = [2, 1, '0:9', '/', '/run/layers/a'];

it('finds the mount at the path, and copies below a bind of any directory above', () => {
  const table = toTable(
    ROOT,
    LAYER,
    [3, 1, '8:1', '/', '/host'],
    [4, 3, '0:9', '/', '/host/run/layers/a'],
    [5, 1, '8:1', '/run', '/mnt'],
    [6, 5, '0:9', '/', '/mnt/layers/a'],
    [7, 1, '8:1', '/run/layers', '/own'],
    [8, 7, '0:9', '/', '/own/a'],
  );
  const all = ['/run/layers/a', '/host/run/layers/a', '/mnt/layers/a', '/own/a'];
  expect(findMountsOn('/run/layers/a', table)).toEqual(all);
});

it('finds no mount of another directory, filesystem or root', () => {
  const table = toTable(
    ROOT,
    LAYER,
    [3, 1, '0:9', '/', '/run/layers/ab'],
    [4, 1, '8:2', '/', '/other'],
    [5, 4, '0:9', '/', '/other/run/layers/a'],
    [6, 1, '8:1', '/run/layers/a', '/bound'],
    [7, 6, '0:9', '/', '/bound/below'],
  );
  expect(findMountsOn('/run/layers/a', table)).toEqual(['/run/layers/a']);
  expect(findMountsOn('/run/layers/c', table)).toEqual([]);
});

it('goes by the innermost and topmost mount around the path', () => {
  const table = toTable(
    ROOT,
    [2, 1, '0:7', '/', '/run'],
    [3, 1, '0:8', '/', '/run'],
    [4, 3, '0:9', '/', '/run/a'],
    [5, 1, '0:8', '/', '/copy'],
    [6, 5, '0:9', '/', '/copy/a'],
    [7, 1, '0:7', '/', '/hidden'],
    [8, 7, '0:9', '/', '/hidden/a'],
  );
  expect(findMountsOn('/run/a', table)).toEqual(['/run/a', '/copy/a']);
});

it('finds nothing in an empty table', () => {
  expect(findMountsOn('/run/a', [])).toEqual([]);
});
