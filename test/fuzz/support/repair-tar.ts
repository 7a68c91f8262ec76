/** Corrects the checksums of a tar's headers, so that changed headers are read. */
import type { Random } from './fuzz-random.ts';

const BLOCK = 512;

/** Usually: a wrong checksum is an input as well. */
export function repairTar(tar: Buffer, random: Random): Buffer {
  if (random.chance(0.1)) return tar;
  const repaired = Buffer.from(tar);
  for (let at = 0; at + BLOCK <= repaired.length; at += BLOCK) {
    const block = repaired.subarray(at, at + BLOCK);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return repaired;
}
