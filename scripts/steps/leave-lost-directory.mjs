/**
 * Instructions that let an executable start in a working directory without a path: one that was removed, whose mount is gone, or whose path is longer than the
 * kernel reports. Bun would end with status 1 there before any code of ours runs. The instructions open the directory and change to {@link PLACE};
 * src/cli/run/return-to-directory.ts changes back to the open directory. Every start asks for the path, and most continue at once.
 */

/** The path contains the pid of the process, so that no program is there by chance. */
const PLACE = '/proc/self/fdinfo';
const HERE = '.';
/** Both, each followed by a NUL. */
const texts = Buffer.from(`${HERE}\0${PLACE}\0`, 'latin1');
const offsetOf = { here: 0, place: HERE.length + 1 };

const SLASH = 0x2f;
/** O_PATH and O_CLOEXEC; on arm64 the kernel has other numbers for O_DIRECTORY and O_NOFOLLOW. return-to-directory.ts looks for all four. */
const PATH_AND_CLOEXEC = 0x28_0000;
const OPEN_FLAGS = { x86: PATH_AND_CLOEXEC | 0x3_0000, arm: PATH_AND_CLOEXEC | 0xc000 };

/** Preserves rsp and rdx. The path is written below the stack, which is unused so far; without a path the byte before it stays 0. */
export function leaveLostDirectoryX86() {
  const call = [0x0f, 0x05]; // syscall
  const ask = [
    ...[0x48, 0x8d, 0xbc, 0x24, 0x00, 0xf0, 0xff, 0xff], // lea rdi, [rsp - 4096]
    ...[0xc6, 0x07, 0x00], // mov byte [rdi], 0
    ...[0xbe, 0x00, 0x10, 0x00, 0x00], // mov esi, 4096
    ...[0xb8, 79, 0, 0, 0], // mov eax, getcwd
    ...call,
    ...[0x80, 0x3f, SLASH], // cmp byte [rdi], '/'
  ];
  const branchBytes = 2;
  const [openBytes, changeBytes] = [19, 14];
  const textsAt = ask.length + branchBytes + openBytes + changeBytes + branchBytes;
  /** @param {number} at @param {number} offset */
  const loadText = (at, offset) => {
    const load = Buffer.from([0x48, 0x8d, 0x3d, 0, 0, 0, 0]); // lea rdi, [rip + …]
    load.writeInt32LE(textsAt + offset - (at + load.length), 3);
    return load;
  };
  const flags = Buffer.alloc(4);
  flags.writeUInt32LE(OPEN_FLAGS.x86);
  const openAt = ask.length + branchBytes;
  const open = [
    ...loadText(openAt, offsetOf.here),
    ...[0xbe, ...flags], // mov esi, flags
    ...[0xb8, 2, 0, 0, 0], // mov eax, open
    ...call,
  ];
  const change = [
    ...loadText(openAt + openBytes, offsetOf.place),
    ...[0xb8, 80, 0, 0, 0], // mov eax, chdir
    ...call,
  ];
  const end = textsAt + texts.length;
  return Buffer.from([
    ...ask,
    ...[0x74, end - openAt], // je end
    ...open,
    ...change,
    ...[0xeb, end - textsAt], // jmp end
    ...texts,
  ]);
}

/** The arm64 version: preserves sp and x0. In words of four bytes. */
export function leaveLostDirectoryArm() {
  const call = 0xd400_0001; // svc #0
  const ask = [
    0xaa00_03e9, // mov x9, x0
    0xd140_07ea, // sub x10, sp, #4096
    0x3900_015f, // strb wzr, [x10]
    0xaa0a_03e0, // mov x0, x10
    0xd282_0001, // mov x1, #4096
    callNumber(17), // getcwd
    call,
    0x3940_014b, // ldrb w11, [x10]
    0x7100_001f | (SLASH << 10) | (11 << 5), // cmp w11, '/'
  ];
  const [openWords, changeWords] = [6, 3];
  const textsAt = ask.length + 1 + openWords + changeWords + 1;
  const padded = Buffer.concat([texts], Math.ceil(texts.length / 4) * 4);
  const end = textsAt + padded.length / 4;
  /** @param {number} at @param {{register: number, offset: number}} text adr register, text */
  const loadText = (at, { register, offset }) => {
    const distance = (textsAt - at) * 4 + offset;
    return 0x1000_0000 | ((distance & 3) << 29) | ((distance >> 2) << 5) | register;
  };
  const openAt = ask.length + 1;
  const open = [
    0x9280_0c60, // mov x0, AT_FDCWD
    loadText(openAt + 1, { register: 1, offset: offsetOf.here }),
    0x5280_0002 | ((OPEN_FLAGS.arm & 0xffff) << 5), // movz w2, low half
    0x72a0_0002 | ((OPEN_FLAGS.arm >>> 16) << 5), // movk w2, high half
    callNumber(56), // openat
    call,
  ];
  const change = [
    loadText(openAt + openWords, { register: 0, offset: offsetOf.place }),
    callNumber(49), // chdir
    call,
  ];
  return [
    ...ask,
    0x5400_0000 | ((end - ask.length) << 5), // b.eq end
    ...open,
    ...change,
    0x1400_0000 | (end - (textsAt - 1)), // b end
    ...Array.from({ length: padded.length / 4 }, (_, index) => padded.readUInt32LE(index * 4)),
    0xaa09_03e0, // end: mov x0, x9
  ];
}

/** @param {number} number mov x8, number */
const callNumber = (number) => (0xd280_0008 | (number << 5)) >>> 0;
