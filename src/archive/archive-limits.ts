/** How much one archive may contain: every reader of a tar or zip stops at these limits. */

export interface ArchiveLimits {
  readonly entries: number;
  /** Of the unpacked archive: of the whole tar stream, and of the contents of all files together. */
  readonly bytes: number;
  /** Unpacked bytes for each packed byte; checked for archives of more than {@link RATIO_FREE_BYTES} unpacked. */
  readonly ratio: number;
  /** Of one extension header: PAX records or a GNU long name. */
  readonly headerBytes: number;
  readonly pathBytes: number;
  /** Path components. */
  readonly depth: number;
  /** Directory entries that `mkfs.erofs` passes in all its look-ups: it searches the list of a folder from the start. */
  readonly lookupSteps: number;
}

/** Small archives may have any ratio: a few megabytes of zeros do no harm. */
export const RATIO_FREE_BYTES = 256 * 1024 * 1024;

/**
 * Sized for the largest layers in use (a Haskell compiler: 1 GB) with room to grow: 500,000 entries take about 10 s,
 * 4e9 look-up steps (90,000 files in one folder) as long.
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

/** NAME_MAX of Linux, and of EROFS. */
export const MAX_NAME_BYTES = 255;
/** A symbolic link's target is shorter than PATH_MAX. */
export const MAX_LINK_BYTES = 4095;
/** How much `mkfs.erofs` 1.8.6 reads of a PAX header. It assembles a longer one wrongly: bytes of a value could become records of their own. */
export const MAX_PAX_BYTES = 32 * 1024;
/** All extended attributes of one entry, as PAX records, with room left for two long paths. */
export const MAX_XATTR_BYTES = 16 * 1024;
