/**
 * Instructions that end an executable in a defined way where its engine would end with status 1 before any code of ours runs, which callers of `run` would mistake for the task's:
 * if it cannot open two more descriptors, or its stack cannot grow large enough. The status is 125, as for everything that keeps `run` from starting its task.
 */

const MESSAGE = Buffer.from(
  'stackshim: too few open files (ulimit -n) or too small a stack (ulimit -s) to start\n',
  'latin1',
);
/** Bun starts with 192 KiB, but not with 128. */
const LEAST_STACK_BYTES = 0x3_0000;
const FAILED = 125;
const RLIMIT_STACK = 3;
const STDERR = 2;

/** Preserves rsp and rdx if the resources suffice. Uses [rsp - 8] for two descriptors and [rsp - 16] for a struct rlimit. */
export function requireRoomX86() {
  const call = [0x0f, 0x05]; // syscall
  /** @param {number} number mov eax, number; syscall */
  const callOf = (number) => [0xb8, number & 0xff, number >> 8, 0, 0, ...call];
  const message = Buffer.alloc(4);
  message.writeUInt32LE(MESSAGE.length);
  const least = Buffer.alloc(4);
  least.writeUInt32LE(LEAST_STACK_BYTES);
  const end = [
    ...[0xbf, FAILED, 0, 0, 0], // mov edi, 125
    ...callOf(231), // exit_group
  ];
  const behindLoad = 5 + 7 + end.length;
  const fail = [
    ...[0xbf, STDERR, 0, 0, 0], // mov edi, 2
    ...[0x48, 0x8d, 0x35, behindLoad, 0, 0, 0], // lea rsi, [rip + message]
    ...[0xba, ...message], // mov edx, length
    ...callOf(1), // write
    ...end,
    ...MESSAGE,
  ];
  const look = [
    ...[0x8b, 0x7c, 0x24, 0xf8], // mov edi, [rsp - 8]
    ...callOf(3), // close
    ...[0x8b, 0x7c, 0x24, 0xfc], // mov edi, [rsp - 4]
    ...callOf(3), // close
    ...[0xbf, RLIMIT_STACK, 0, 0, 0], // mov edi, RLIMIT_STACK
    ...[0x48, 0x8d, 0x74, 0x24, 0xf0], // lea rsi, [rsp - 16]
    ...callOf(97), // getrlimit
    ...[0x48, 0x81, 0x7c, 0x24, 0xf0, ...least], // cmp qword [rsp - 16], least
    ...[0x73, fail.length], // jae end
  ];
  return Buffer.from([
    ...[0x48, 0x8d, 0x7c, 0x24, 0xf8], // lea rdi, [rsp - 8]
    ...[0xbe, 0x00, 0x00, 0x08, 0x00], // mov esi, O_CLOEXEC
    ...callOf(293), // pipe2
    ...[0x85, 0xc0], // test eax, eax
    ...[0x75, look.length], // jnz fail
    ...look,
    ...fail,
  ]);
}

/** The arm64 version: preserves sp and x0. In words of four bytes. */
export function requireRoomArm() {
  /** @param {number} number mov x8, number; svc #0 */
  const callOf = (number) => [(0xd280_0008 | (number << 5)) >>> 0, 0xd400_0001];
  /** @param {number} register @param {number} value mov register, value */
  const move = (register, value) => (0xd280_0000 | (value << 5) | register) >>> 0;
  const padded = Buffer.concat([MESSAGE], Math.ceil(MESSAGE.length / 4) * 4);
  const end = [move(0, FAILED), ...callOf(94)]; // exit_group
  const behindLoad = 1 + 2 + end.length;
  const fail = [
    move(0, STDERR),
    0x1000_0001 | ((behindLoad + 1) << 5), // adr x1, message
    move(2, MESSAGE.length),
    ...callOf(64), // write
    ...end,
    ...Array.from({ length: padded.length / 4 }, (_, index) => padded.readUInt32LE(index * 4)),
  ];
  const look = [
    0xb940_0140, // ldr w0, [x10]
    ...callOf(57), // close
    0xb940_0540, // ldr w0, [x10, #4]
    ...callOf(57), // close
    move(0, RLIMIT_STACK),
    0xaa0a_03e1, // mov x1, x10
    ...callOf(163), // getrlimit
    0xf940_014b, // ldr x11, [x10]
    (0xf140_017f | ((LEAST_STACK_BYTES >> 12) << 10)) >>> 0, // cmp x11, least
    0x5400_0002 | ((fail.length + 1) << 5), // b.hs end
  ];
  return [
    0xaa00_03e9, // mov x9, x0
    0xd100_43ea, // sub x10, sp, #16
    0xaa0a_03e0, // mov x0, x10
    0x52a0_0101, // mov w1, O_CLOEXEC
    ...callOf(59), // pipe2
    0x3500_0000 | ((look.length + 1) << 5), // cbnz w0, fail
    ...look,
    ...fail,
    0xaa09_03e0, // end: mov x0, x9
  ];
}
