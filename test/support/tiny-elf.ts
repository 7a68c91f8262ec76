/** A static program of a few bytes, for this machine's processor. */

/** An ELF executable that runs `code` and nothing else. */
function makeElf(machine: number, code: Buffer): Buffer {
  const [headerBytes, programHeaderBytes] = [64, 56];
  const start = headerBytes + programHeaderBytes;
  const base = 0x40_0000n;
  const elf = Buffer.alloc(start);
  elf.write('\x7fELF\x02\x01\x01', 'latin1');
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(base + BigInt(start), 24); // entry
  elf.writeBigUInt64LE(BigInt(headerBytes), 32); // program headers
  elf.writeUInt16LE(headerBytes, 52);
  elf.writeUInt16LE(programHeaderBytes, 54);
  elf.writeUInt16LE(1, 56);
  const size = BigInt(start + code.length);
  elf.writeUInt32LE(1, headerBytes); // PT_LOAD
  elf.writeUInt32LE(5, headerBytes + 4); // r-x
  elf.writeBigUInt64LE(base, headerBytes + 16);
  elf.writeBigUInt64LE(base, headerBytes + 24);
  elf.writeBigUInt64LE(size, headerBytes + 32);
  elf.writeBigUInt64LE(size, headerBytes + 40);
  elf.writeBigUInt64LE(0x1000n, headerBytes + 48);
  return Buffer.concat([elf, code]);
}

/** Executes an instruction that does not exist: SIGILL, which ends a pid 1 as well. */
export function makeCrashingProgram(): Buffer {
  const [x64, arm64] = [62, 183];
  return process.arch === 'arm64'
    ? makeElf(arm64, Buffer.alloc(4))
    : makeElf(x64, Buffer.from([0x0f, 0x0b]));
}
