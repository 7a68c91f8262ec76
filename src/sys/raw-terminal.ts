/** Raw mode of a terminal: input and output pass unchanged until the mode is restored. termios(3), ioctl_tty(2). */
import { unlessFailed } from '../core/errors.ts';
import { invoke } from './invoke.ts';
import type { Fd } from './system.ts';

const TCGETS = 0x5401;
const TCSETSW = 0x5403;

/** struct termios of asm-generic: four flag words, the line discipline, 19 control characters. */
const TERMIOS_BYTES = 36;
const INPUT_FLAGS = 0;
const OUTPUT_FLAGS = 4;
const CONTROL_FLAGS = 8;
const LOCAL_FLAGS = 12;
const CONTROL_CHARACTERS = 17;
const VTIME = 5;
const VMIN = 6;

/** IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON. */
const COOKED_INPUT = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
/** OPOST. */
const COOKED_OUTPUT = 0o1;
/** CSIZE, PARENB. */
const CHARACTER_FORM = 0o60 | 0o400;
const CS8 = 0o60;
/** ISIG, ICANON, ECHO, ECHONL, IEXTEN. */
const COOKED_LOCAL = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;

/**
 * Makes a terminal raw, as cfmakeraw(3) does: `setRawMode` of both engines still turns line feeds into new lines. Returns a function that
 * restores the terminal, and does nothing if the terminal is gone by then.
 */
export function makeTerminalRaw(fd: Fd): () => void {
  const found = Buffer.alloc(TERMIOS_BYTES);
  invoke({ name: 'ioctl', subject: 'TCGETS' }, 'ioctl', fd, TCGETS, found);
  setTermios(fd, toRaw(found));
  return () => unlessFailed(() => setTermios(fd, found), ['EIO']);
}

function setTermios(fd: Fd, termios: Buffer): void {
  invoke({ name: 'ioctl', subject: 'TCSETSW' }, 'ioctl', fd, TCSETSW, termios);
}

function toRaw(found: Buffer): Buffer {
  const raw = Buffer.from(found);
  const change = (offset: number, off: number, on = 0) => {
    raw.writeUInt32LE(((found.readUInt32LE(offset) & ~off) | on) >>> 0, offset);
  };
  change(INPUT_FLAGS, COOKED_INPUT);
  change(OUTPUT_FLAGS, COOKED_OUTPUT);
  change(CONTROL_FLAGS, CHARACTER_FORM, CS8);
  change(LOCAL_FLAGS, COOKED_LOCAL);
  raw[CONTROL_CHARACTERS + VMIN] = 1;
  raw[CONTROL_CHARACTERS + VTIME] = 0;
  return raw;
}
