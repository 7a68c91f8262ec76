/** The content of a mounted filesystem, as GNU tar sees it: names, modes, owners, times, links, data, attributes. */
import { execFileSync } from 'node:child_process';
import { LAYER_LIMITS } from '../../../src/archive/archive-limits.ts';
import { LAYER_POLICY } from '../../../src/archive/archive-policy.ts';
import type { TarEntry } from '../../../src/archive/tar-entry.ts';
import { createTarParser } from '../../../src/archive/tar-parser.ts';

export interface TreeNode extends TarEntry {
  readonly content: string;
}

/** By path, `.` for the root; of a file's several names the first in byte order is the file, the others are hard links. */
export function readTree(folder: string): ReadonlyMap<string, TreeNode> {
  const tar = execFileSync(
    'tar',
    [
      ...['--create', '--file=-', '--format=pax', '--sort=name', '--numeric-owner'],
      ...['--xattrs', '--xattrs-include=*', `--directory=${folder}`, '.'],
    ],
    { maxBuffer: 1024 ** 3, env: { ...process.env, LC_ALL: 'C' } },
  );
  const nodes = new Map<string, TreeNode>();
  let latest: { -readonly [Key in keyof TreeNode]: TreeNode[Key] } | undefined;
  const parser = createTarParser(LAYER_POLICY, LAYER_LIMITS, {
    entry: (entry) => {
      latest = { ...entry, content: '' };
      nodes.set(toPlain(entry.path), latest);
    },
    data: (chunk) => {
      if (latest !== undefined) latest.content += chunk.toString('latin1');
    },
  });
  parser.push(tar);
  parser.end();
  return nodes;
}

const toPlain = (path: string): string => path.replace(/^\.\//, '').replace(/\/$/, '') || '.';
