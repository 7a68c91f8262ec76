/** The instructions before the executable's entry point, in small ELF files: where they are placed, and when there is no space for them. */
import { describe, expect, it } from 'vitest';
import { prependInstructions } from '../../scripts/steps/prepend-instructions.mjs';

const CODE_OFFSET = 0x1100;
const CODE_ADDRESS = 0x42_1100n;
const [X86_64, ARM_64, RISC_V] = [62, 183, 243];

interface SmallElf {
  readonly machine: number;
  /** The end of the first segment in the file. */
  readonly firstEnd?: number;
  readonly firstAddress?: bigint;
}

/** A header and two loaded segments, the second with 64 bytes of code. */
function makeElf({ machine, firstEnd = 0x200, firstAddress = 0x40_0000n }: SmallElf): Buffer {
  const elf = Buffer.alloc(CODE_OFFSET + 64);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  elf.writeUInt16LE(machine, 18);
  elf.writeBigUInt64LE(CODE_ADDRESS + 16n, 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(2, 56);
  writeSegment(elf, 64, [4, 0n, firstAddress, BigInt(firstEnd)]);
  writeSegment(elf, 64 + 56, [5, BigInt(CODE_OFFSET), CODE_ADDRESS, 64n]);
  elf.fill(0x90, CODE_OFFSET);
  return elf;
}

function writeSegment(
  elf: Buffer,
  at: number,
  [flags, offset, address, size]: readonly [number, bigint, bigint, bigint],
): void {
  elf.writeUInt32LE(1, at);
  elf.writeUInt32LE(flags, at + 4);
  for (const [field, value] of [
    [8, offset],
    [16, address],
    [32, size],
    [40, size],
  ] as const) {
    elf.writeBigUInt64LE(value, at + field);
  }
}

describe('the instructions', () => {
  it.each([
    ['x86-64', X86_64, 384n],
    ['arm64', ARM_64, 448n],
  ])(
    'of %s come before the code, and continue at the program’s entry point',
    (_, machine, distance) => {
      const elf = makeElf({ machine });
      prependInstructions(elf);
      const start = CODE_ADDRESS - distance;
      expect(elf.readBigUInt64LE(24)).toBe(start);
      const header = 64 + 56;
      expect(elf.readBigUInt64LE(header + 8)).toBe(BigInt(CODE_OFFSET) - distance);
      expect(elf.readBigUInt64LE(header + 16)).toBe(start);
      expect(elf.readBigUInt64LE(header + 32)).toBe(64n + distance);
      expect(jumpTarget(elf, machine, CODE_OFFSET - Number(distance))).toBe(CODE_OFFSET + 16);
    },
  );
});

/** The target of the last instruction, as an offset in the file. */
function jumpTarget(elf: Buffer, machine: number, start: number): number {
  if (machine === X86_64) {
    const at = elf.indexOf(0xe9, start);
    return at + 5 + elf.readInt32LE(at + 1);
  }
  const at = start + 98 * 4;
  return at + (elf.readUInt32LE(at) & 0x3ff_ffff) * 4;
}

describe('a file is left as its builder made it', () => {
  it.each([
    ['it is not an ELF file', Buffer.alloc(100), 'not a 64-bit ELF file'],
    ['it is for another machine', makeElf({ machine: RISC_V }), 'no instructions for machine 243'],
    [
      'it has other content before its code',
      makeElf({ machine: X86_64, firstEnd: CODE_OFFSET }),
      'no room before the code',
    ],
    [
      'its segments share a page',
      makeElf({ machine: X86_64, firstAddress: 0x42_0000n }),
      'no room before the code',
    ],
    ['its padding is used', withUsedPadding(), 'no room before the code'],
  ])('if %s', (_, elf, reason) => {
    const before = Buffer.from(elf);
    expect(() => prependInstructions(elf)).toThrow(reason);
    expect(elf.equals(before)).toBe(true);
  });
});

function withUsedPadding(): Buffer {
  const elf = makeElf({ machine: X86_64 });
  elf[CODE_OFFSET - 1] = 1;
  return elf;
}
