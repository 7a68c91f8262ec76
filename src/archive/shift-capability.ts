/** Converts file capabilities set inside a user namespace to those outside (capabilities(7), linux/capability.h). */

import { BUILD_RANGE_COUNT, FIRST_BUILD_ID, IDS_PER_SLOT } from '../core/host-ids.ts';

const REVISION_MASK = 0xff00_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const REVISION_2_BYTES = 20;
const REVISION_3_BYTES = 24;

/** Converts `security.capability` of revision 3, for a namespace's root `idBase` on the host, to revision 2. Returns other values unchanged. */
export function shiftCapability(value: Buffer, idBase: number): Buffer {
  if (value.length !== REVISION_3_BYTES) return value;
  const magic = value.readUInt32LE(0);
  const isOurs = (magic & REVISION_MASK) === REVISION_3 && value.readUInt32LE(20) === idBase;
  if (!isOurs) return value;
  const shifted = Buffer.from(value.subarray(0, REVISION_2_BYTES));
  shifted.writeUInt32LE(((magic & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  return shifted;
}

/** Like {@link shiftCapability}, for one set by a step of a build, in any build range: an image must not reveal the range. */
export function shiftBuildCapability(value: Buffer): Buffer {
  if (value.length !== REVISION_3_BYTES) return value;
  const root = value.readUInt32LE(20);
  const offset = root - FIRST_BUILD_ID;
  const isBuilds = offset >= 0 && offset < BUILD_RANGE_COUNT * IDS_PER_SLOT;
  return isBuilds && offset % IDS_PER_SLOT === 0 ? shiftCapability(value, root) : value;
}
