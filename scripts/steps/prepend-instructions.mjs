/**
 * Inserts instructions before the entry point of an executable that Bun has linked, for what must happen before its engine reads a variable, asks for the working
 * directory or runs out of a resource.
 */
import { hideVariablesArm, hideVariablesX86 } from './hide-variables.mjs';
import { leaveLostDirectoryArm, leaveLostDirectoryX86 } from './leave-lost-directory.mjs';
import { requireRoomArm, requireRoomX86 } from './require-room.mjs';

const SEGMENT_LOAD = 1;
const SEGMENT_EXECUTABLE = 1;
const PAGE_BYTES = 0x1_0000n;
const X86_64 = 62;
const ARM_64 = 183;

/**
 * Changes the executable in place: its first executable segment begins earlier by the size of the new instructions, where the program then starts.
 * @param {Buffer} elf a 64-bit little-endian ELF executable; throws for any other, and for one without room before its code
 */
export function prependInstructions(elf) {
  if (elf.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') throw new Error('not a 64-bit ELF file');
  const machine = elf.readUInt16LE(18);
  const segments = readSegments(elf);
  const code = segments.find((one) => one.isLoaded && one.isExecutable);
  if (code === undefined) throw new Error('no segment with code');
  const entry = elf.readBigUInt64LE(24);
  const size = BigInt(encode(machine, 0n).length);
  // Instructions of arm64 and functions of x86-64 are aligned.
  const distance = ((size + 63n) / 64n) * 64n;
  const start = { offset: code.offset - distance, address: code.address - distance };
  requireRoom(elf, { start, distance, others: segments.filter((one) => one !== code) });
  const program = encode(machine, entry - start.address);
  program.copy(elf, Number(start.offset));
  for (const [at, value] of /** @type {const} */ ([
    [8, start.offset],
    [16, start.address],
    [24, start.address],
    [32, code.fileBytes + distance],
    [40, code.memoryBytes + distance],
  ])) {
    elf.writeBigUInt64LE(value, code.header + at);
  }
  elf.writeBigUInt64LE(start.address, 24);
}

/** @param {Buffer} elf */
function readSegments(elf) {
  const table = Number(elf.readBigUInt64LE(32));
  const [entryBytes, count] = [elf.readUInt16LE(54), elf.readUInt16LE(56)];
  return Array.from({ length: count }, (_, index) => {
    const header = table + index * entryBytes;
    return {
      header,
      isLoaded: elf.readUInt32LE(header) === SEGMENT_LOAD,
      isExecutable: (elf.readUInt32LE(header + 4) & SEGMENT_EXECUTABLE) !== 0,
      offset: elf.readBigUInt64LE(header + 8),
      address: elf.readBigUInt64LE(header + 16),
      fileBytes: elf.readBigUInt64LE(header + 32),
      memoryBytes: elf.readBigUInt64LE(header + 40),
    };
  });
}

/**
 * The linker pads the space between two segments. Only padding may be overwritten, and no page may belong to two segments.
 * @param {Buffer} elf
 * @param {{start: {offset: bigint, address: bigint}, distance: bigint, others: ReturnType<typeof readSegments>}} place
 */
function requireRoom(elf, { start, distance, others }) {
  const padding = elf.subarray(Number(start.offset), Number(start.offset + distance));
  const page = start.address - (start.address % PAGE_BYTES);
  const isTaken = others
    .filter((one) => one.isLoaded)
    .some(
      (one) =>
        (one.offset < start.offset + distance && start.offset < one.offset + one.fileBytes) ||
        (one.address < start.address + distance && page < one.address + one.memoryBytes),
    );
  if (start.offset < 0n || isTaken || padding.some((byte) => byte !== 0)) {
    throw new Error('no room before the code');
  }
}

/**
 * @param {number} machine
 * @param {bigint} distance from the first instruction to where the program began
 */
function encode(machine, distance) {
  if (machine === X86_64) {
    const first = Buffer.concat([leaveLostDirectoryX86(), requireRoomX86()]);
    return Buffer.concat([first, hideVariablesX86(Number(distance) - first.length)]);
  }
  if (machine === ARM_64) {
    const first = [...leaveLostDirectoryArm(), ...requireRoomArm()];
    return toBytes([...first, ...hideVariablesArm(Number(distance) - first.length * 4)]);
  }
  throw new Error(`no instructions for machine ${machine}`);
}

/** @param {readonly number[]} words */
function toBytes(words) {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, index * 4);
  return bytes;
}
