/** Disk space of all stacks, beside the same images unpacked separately, as one image per language would be. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { type Installed, imageLayers } from './installed.ts';

export interface DiskFigures {
  /** Base stacks count with the stacks on them. */
  readonly stacks: number;
  /** The layer files of all stacks, each once. */
  readonly layerBytes: number;
  /** The size of each stack's image in its own folder, on a filesystem with 4 KiB blocks. */
  readonly unpackedBytes: number;
  /** How the layers are compressed. */
  readonly compression: string;
}

const BLOCK_BYTES = 4096;

export async function measureDisk(installed: Installed): Promise<DiskFigures> {
  const { root } = installed;
  const { stacks } = JSON.parse(readFileSync(`${root}/current`, 'utf8'));
  const images = Object.keys(stacks).map((stack) => imageLayers({ ...installed, stack }));
  const top = images.filter((layers) => !images.some((other) => standsOn(other, layers)));
  const ids = [...new Set(images.flat())];
  let unpackedBytes = 0;
  for (const layers of top) unpackedBytes += await measureUnpacked(root, layers);
  const sizes = ids.map((id) => statSync(`${root}/layers/${id}.erofs`).size);
  const compressions = ids.map(
    (id) => JSON.parse(readFileSync(`${root}/layers/${id}.json`, 'utf8')).compression,
  );
  return {
    stacks: top.length,
    layerBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    unpackedBytes,
    compression: [...new Set(compressions)].join(', '),
  };
}

const standsOn = (image: readonly string[], base: readonly string[]) =>
  image.length > base.length && base.every((id, index) => image[index] === id);

/** Its mounts are in their own namespace, and end with it. Arguments: folder, layers' files with the topmost first. */
const LIST_FILES = `
set -e
folder=$1; shift
lower=
for file in "$@"; do
  count=$((count + 1))
  mkdir -p "$folder/$count"
  mount -t erofs -o ro "$file" "$folder/$count"
  lower=$lower\${lower:+:}$folder/$count
done
tree=$folder/1
if [ $# -gt 1 ]; then
  tree=$folder/tree
  mkdir -p "$tree"
  mount -t overlay -o "ro,xino=off,lowerdir=$lower" none "$tree"
fi
exec find "$tree" -printf '%y %n %D:%i %s\\n'
`;

/** Bytes of an image's tree: whole blocks for files, one block for each folder; a file with several names counts once. */
async function measureUnpacked(root: string, layers: readonly string[]): Promise<number> {
  const folder = mkdtempSync(`${tmpdir()}/stackshim-disk-`);
  try {
    const files = layers.map((id) => `${root}/layers/${id}.erofs`).reverse();
    const args = ['--mount', '--propagation', 'private', '--', 'sh', '-c', LIST_FILES, 'sh'];
    const child = spawn('unshare', [...args, folder, ...files], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    let bytes = 0;
    const seen = new Set<string>();
    for await (const line of createInterface({ input: child.stdout })) {
      const [kind, links, inode = '', size] = line.split(' ');
      if (kind === 'd') bytes += BLOCK_BYTES;
      if (kind !== 'f' || seen.has(inode)) continue;
      if (links !== '1') seen.add(inode);
      bytes += Math.ceil(Number(size) / BLOCK_BYTES) * BLOCK_BYTES;
    }
    if ((await ended) !== 0) throw new Error(`list the files of ${files.join(' ')}`);
    return bytes;
  } finally {
    // The mount points are empty folders in this namespace.
    rmSync(folder, { recursive: true });
  }
}
