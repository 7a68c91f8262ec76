/** How much a task may write to disk. */
import { parseBytes } from './parse-bytes.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** Bytes within the bounds of a disk limit. Throws ERR_STACKSHIM_SPEC_INVALID that names `field`. */
export const parseDisk = (value: string | number, field: string): number =>
  parseBytes(value, field, { min: SPEC_BOUNDS.diskBytesMin, max: SPEC_BOUNDS.diskBytesMax });
