/** How much one archive may contain; every reader of a tar or zip stops at these limits. */

export interface ArchiveLimits {
  readonly entries: number;
  /** Bytes of the unpacked archive: of the whole tar stream, and of all files' contents together. */
  readonly bytes: number;
  /** Unpacked bytes per packed byte; checked above {@link RATIO_FREE_BYTES} unpacked. */
  readonly ratio: number;
  /** Bytes of one extension header: PAX records or a GNU long name. */
  readonly headerBytes: number;
  readonly pathBytes: number;
  /** Path components. */
  readonly depth: number;
  /** Directory entries that `mkfs.erofs` passes in all its look-ups; it searches a folder's list from the start. */
  readonly lookupSteps: number;
}

/** Smaller archives may have any ratio: a few megabytes of zeros do no harm. */
export const RATIO_FREE_BYTES = 256 * 1024 * 1024;

/**
 * Room for more than the largest layers in use (a Haskell compiler: 1 GB). 500,000 entries, or 4e9 look-up steps (90,000 files in one folder),
 * take about 10 s.
 */
export const LAYER_LIMITS: ArchiveLimits = {
  entries: 500_000,
  bytes: 16 * 1024 ** 3,
  ratio: 200,
  headerBytes: 128 * 1024,
  pathBytes: 4095,
  depth: 128,
  lookupSteps: 4_000_000_000,
};

/** NAME_MAX of Linux and EROFS. */
export const MAX_NAME_BYTES = 255;
/** A symbolic link's target is shorter than PATH_MAX. */
export const MAX_LINK_BYTES = 4095;
/** The most that `mkfs.erofs` 1.8.6 reads of a PAX header. It misreads longer ones: bytes of a value could become records of their own. */
export const MAX_PAX_BYTES = 32 * 1024;
/** All extended attributes of one entry as PAX records; leaves room for two long paths. */
export const MAX_XATTR_BYTES = 16 * 1024;
