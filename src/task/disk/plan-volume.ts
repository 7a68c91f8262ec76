/** Computes the size of a volume's file for a task's limit, and the arguments of `mkfs.ext4`. Pure. */
import type { DiskAmount } from '../../sys/system.ts';

export interface VolumePlan {
  /** The file is sparse: it only takes the space of what is written to it. */
  readonly fileBytes: number;
  /** Arguments for formatting a file of that size. */
  readonly mkfsArgs: readonly string[];
}

const BLOCK_BYTES = 4096;
const INODE_BYTES = 256;
const INODES_PER_BLOCK = BLOCK_BYTES / INODE_BYTES;
const BLOCKS_PER_GROUP = 32_768;
/** Two bitmaps, and the rounding of the inode table. */
const GROUP_BLOCKS = 6;
/** Superblock, group descriptors, and the loss of a last group that is too small to stand alone. */
const FIXED_BLOCKS = 64;
const GROUPS_PER_DESCRIPTOR_BLOCK = 128;
/** Copies of superblock and descriptors: in group 1 and in the powers of 3, 5 and 7. */
const DESCRIPTOR_COPIES = 16;
/** The kernel reserves one block in fifty, but at most this many. */
const MAX_RESERVED = 4096;
const RESERVED_ONE_IN = 49;
/** Inodes 1 to 10 and `lost+found`. */
const FRESH_INODES = 11;
/** The root folder and `lost+found`. */
const FRESH_BLOCKS = 5;

/** Only the features that a filesystem with a life of minutes needs: no journal, no checksums, no resizing. */
const FEATURES = [
  'none',
  'dir_index',
  'dir_nlink',
  'ext_attr',
  'extent',
  'extra_isize',
  'filetype',
  'flex_bg',
  'huge_file',
  'large_file',
  'sparse_super',
  'uninit_bg',
];

export function planVolume(limit: DiskAmount): VolumePlan {
  const inodes = limit.inodes + FRESH_INODES;
  const wanted = Math.ceil(limit.bytes / BLOCK_BYTES) + FRESH_BLOCKS;
  const inodeBlocks = Math.ceil(inodes / INODES_PER_BLOCK);
  const reserved = Math.min(MAX_RESERVED, Math.ceil((wanted + inodeBlocks) / RESERVED_ONE_IN));
  const blocks = wanted + inodeBlocks + reserved + FIXED_BLOCKS;
  const groups = Math.ceil(blocks / BLOCKS_PER_GROUP) + 1;
  const descriptors = Math.ceil(groups / GROUPS_PER_DESCRIPTOR_BLOCK) * DESCRIPTOR_COPIES;
  const fileBytes = (blocks + groups * GROUP_BLOCKS + descriptors) * BLOCK_BYTES;
  const mkfsArgs = [
    ...['-q', '-F', '-m', '0', '-b', `${BLOCK_BYTES}`, '-I', `${INODE_BYTES}`],
    ...['-N', `${inodes}`, '-O', FEATURES.join(',')],
    // A sparse file reads as zeros, so neither mkfs now nor the kernel later needs to write zeros.
    ...['-E', 'lazy_itable_init=1,assume_storage_prezeroed=1,nodiscard,root_owner=0:0'],
  ];
  return { fileBytes, mkfsArgs };
}
