/** File capabilities that were given inside a user namespace, as they are outside of it (capabilities(7), linux/capability.h). */

const REVISION_MASK = 0xff00_0000;
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const REVISION_2_BYTES = 20;
const REVISION_3_BYTES = 24;

/**
 * The attribute `security.capability` with its namespace's root, `idBase` on the host, taken for the file's own: revision 3 of that root
 * becomes revision 2. Any other value comes back as it is.
 */
export function shiftCapability(value: Buffer, idBase: number): Buffer {
  if (value.length !== REVISION_3_BYTES) return value;
  const magic = value.readUInt32LE(0);
  const isOurs = (magic & REVISION_MASK) === REVISION_3 && value.readUInt32LE(20) === idBase;
  if (!isOurs) return value;
  const shifted = Buffer.from(value.subarray(0, REVISION_2_BYTES));
  shifted.writeUInt32LE(((magic & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  return shifted;
}
