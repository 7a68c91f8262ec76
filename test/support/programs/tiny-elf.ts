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

const [X64, ARM64] = [62, 183];
const isArm64 = process.arch === 'arm64';

/** Executes an instruction that does not exist: SIGILL, which ends a pid 1 as well. */
export function makeCrashingProgram(): Buffer {
  return isArm64 ? makeElf(ARM64, Buffer.alloc(4)) : makeElf(X64, Buffer.from([0x0f, 0x0b]));
}

/** Makes one system call with arguments of 0 and exits with its errno, or with 0 if it succeeded. */
export function makeCallingProgram(call: number): Buffer {
  return isArm64 ? makeElf(ARM64, callOnArm64(call)) : makeElf(X64, callOnX64(call));
}

/** Makes a call of the 32-bit interface, getpid(2), and exits with 0 if it comes back. */
export function make32BitProgram(): Buffer {
  const getpid = [0xb8, 20, 0, 0, 0, 0xcd, 0x80];
  return makeElf(X64, Buffer.from([...getpid, 0x31, 0xff, ...EXIT_ON_X64]));
}

/** mov eax, 60 (exit); syscall */
const EXIT_ON_X64 = [0xb8, 60, 0, 0, 0, 0x0f, 0x05];

function callOnX64(call: number): Buffer {
  const number = Buffer.alloc(4);
  number.writeUInt32LE(call);
  const clear = [0x31, 0xff, 0x31, 0xf6, 0x31, 0xd2, 0x4d, 0x31, 0xd2, 0x4d, 0x31, 0xc0];
  // A result of -1 to -4095 is an errno; any other is a success.
  const toStatus = [
    ...[0xf7, 0xd8], // neg eax
    ...[0x3d, 0xff, 0x0f, 0, 0], // cmp eax, 4095
    ...[0x76, 0x02], // jbe over the next
    ...[0x31, 0xc0], // xor eax, eax
    ...[0x89, 0xc7], // mov edi, eax
  ];
  return Buffer.from([...clear, 0xb8, ...number, 0x0f, 0x05, ...toStatus, ...EXIT_ON_X64]);
}

function callOnArm64(call: number): Buffer {
  const words = [
    ...[0, 1, 2, 3, 4, 5].map((register) => 0xd2800000 + register), // mov xN, #0
    0xd2800008 + call * 32, // mov x8, #call
    0xd4000001, // svc #0
    0xcb0003e0, // neg x0, x0
    0xf13ffc1f, // cmp x0, #4095
    0x9a9f9000, // csel x0, x0, xzr, ls
    0xd2800008 + 93 * 32, // mov x8, #93 (exit)
    0xd4000001, // svc #0
  ];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4);
  return code;
}
