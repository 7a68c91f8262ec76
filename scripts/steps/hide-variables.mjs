/**
 * Instructions that hide from an executable the variables that control its engine. Bun reads some of them before any code of ours runs: `BUN_BE_BUN`
 * turns the executable into an interpreter, `BUN_OPTIONS` loads a file, `BUN_INSPECT` opens a debugger. The instructions rename each variable whose name begins with one of {@link HIDDEN_PREFIXES}: its first letter becomes a small one, and no engine knows it.
 */

/** Four bytes each. src/cli/read-entries.ts restores the names of the variables. */
const HIDDEN_PREFIXES = ['BUN_', 'NODE', 'JSC_'];

/** Turns an ASCII capital letter into a lower-case one. */
const SMALL_LETTER_BIT = 0x20;

const prefixWords = () =>
  HIDDEN_PREFIXES.map((prefix) => Buffer.from(prefix, 'latin1').readUInt32LE());

/**
 * At a program's start, the stack contains argc, argv, NULL, and the variables up to another NULL. Leaves rsp and rdx as they are.
 * @param {number} distance from the first instruction to where the program began
 */
export function hideVariablesX86(distance) {
  const words = prefixWords();
  /** @param {...number} bytes */
  const code = (...bytes) => Buffer.from(bytes);
  const begin = Buffer.concat([
    code(0x48, 0x8b, 0x0c, 0x24), // mov rcx, [rsp]
    code(0x48, 0x8d, 0x74, 0xcc, 0x10), // lea rsi, [rsp + rcx * 8 + 16]
  ]);
  const comparisonBytes = 8;
  const hide = 3 + 4 + 3 + 2 + 2 + words.length * comparisonBytes;
  const done = hide + 5;
  const next = Buffer.concat([
    code(0x48, 0x8b, 0x06), // next: mov rax, [rsi]
    code(0x48, 0x83, 0xc6, 0x08), // add rsi, 8
    code(0x48, 0x85, 0xc0), // test rax, rax
    code(0x74, done - 12), // jz done
    code(0x8b, 0x08), // mov ecx, [rax]
    ...words.flatMap((word, index) => {
      const compare = Buffer.from([0x81, 0xf9, 0, 0, 0, 0]); // cmp ecx, word
      compare.writeUInt32LE(word, 2);
      const end = 14 + (index + 1) * comparisonBytes;
      const isLast = index === words.length - 1;
      // je hide; the last one: jne next
      return [compare, isLast ? code(0x75, 0x100 - end) : code(0x74, hide - end)];
    }),
    code(0x80, 0x08, SMALL_LETTER_BIT), // hide: or byte [rax], 0x20
    code(0xeb, 0x100 - done), // jmp next
  ]);
  const jump = Buffer.from([0xe9, 0, 0, 0, 0]); // done: jmp to where the program began
  jump.writeInt32LE(distance - (begin.length + next.length + jump.length), 1);
  return Buffer.concat([begin, next, jump]);
}

/**
 * The same for arm64; leaves sp and x0 as they are. In words of four bytes.
 * @param {number} distance
 */
export function hideVariablesArm(distance) {
  const words = prefixWords();
  const [first, perWord] = [3, 4];
  const hide = first + 3 + words.length * perWord;
  const done = hide + 4;
  /** @param {number} from @param {number} to in instructions; a conditional branch holds 19 bits of it */
  const near = (from, to) => ((to - from) & 0x7_ffff) << 5;
  /** @param {number} by */
  const branch = (by) => (0x1400_0000 | (by & 0x3ff_ffff)) >>> 0;
  return [
    0xf940_03e9, // ldr x9, [sp]
    0x8b29_6fea, // add x10, sp, x9, lsl #3
    0x9100_414a, // add x10, x10, #16
    0xf840_854b, // next: ldr x11, [x10], #8
    0xb400_000b | near(first + 1, done), // cbz x11, done
    0xb940_016c, // ldr w12, [x11]
    ...words.flatMap((word, index) => {
      const at = first + 3 + index * perWord + 3;
      const isLast = index === words.length - 1;
      return [
        0x5280_000d | ((word & 0xffff) << 5), // movz w13, low half
        0x72a0_000d | ((word >>> 16) << 5), // movk w13, high half, lsl #16
        0x6b0d_019f, // cmp w12, w13
        // b.eq hide; the last one: b.ne next
        isLast ? 0x5400_0001 | near(at, first) : 0x5400_0000 | near(at, hide),
      ];
    }),
    0x3940_016c, // hide: ldrb w12, [x11]
    0x321b_018c, // orr w12, w12, #0x20
    0x3900_016c, // strb w12, [x11]
    branch(first - (hide + 3)), // b next
    branch(distance / 4 - done), // done: b to where the program began
  ];
}
