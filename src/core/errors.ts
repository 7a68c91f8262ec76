/** The only error type of stackshim, and the escaping of text in messages. Match on `code` and `kind`, never on the message. */
import { type ErrorCode, type ErrorKind, errorCodes } from './error-codes.ts';

export interface ErrorOptions {
  /** How to fix it, in one sentence. Default: the registry's hint for the code. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  /** JSON-safe facts for programs: paths, limits, names. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A {@link StackshimError} as JSON, for result records and other processes. */
export interface ErrorJson {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** The cause's message. */
  readonly cause?: string;
}

/** Bounds the message, which is logged, stored and sent: quoted text may have any length. */
const MAX_MESSAGE_CHARS = 16 * 1024;

/**
 * Every error that stackshim throws; its code implies its kind. Messages are lower case, name operation and object, and are cut at 16,384
 * characters.
 */
export class StackshimError extends Error {
  override readonly name = 'StackshimError';
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly hint: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(cut(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = errorCodes[code].kind;
    this.hint = options.hint ?? errorCodes[code].hint;
    this.details = options.details ?? {};
  }

  /** Everything except the stack trace; only the message of the cause. */
  toJSON(): ErrorJson {
    const cause = this.cause === undefined ? {} : { cause: cut(messageOf(this.cause)) };
    const { code, kind, message, hint, details } = this;
    return { code, kind, message, hint, details, ...cause };
  }
}

function cut(message: string): string {
  if (message.length <= MAX_MESSAGE_CHARS) return message;
  return `${message.slice(0, MAX_MESSAGE_CHARS - 1)}…`;
}

/** The message of any thrown value. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Control (C0, C1), format (including bidirectional overrides) and unassigned characters, line and paragraph separators. */
export const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** Makes text from others, such as a message with names, one line that cannot control a terminal. */
export const toPrintable = (text: string): string => text.replaceAll(UNPRINTABLE, toEscape);

function toEscape(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

/** Why a file could not be opened or read, without Node's additions: for a message that names the file itself. */
export function reasonOf(thrown: unknown): string {
  const message = messageOf(thrown);
  return /^E[A-Z0-9]+: (.+?), [a-z]+(?: '.*)?$/s.exec(message)?.[1] ?? message;
}

/** The `code` of a system error (`ENOENT`, …); undefined for anything else. */
export function errnoCodeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** Whether `thrown` is a {@link StackshimError} with that code. */
export const hasCode = (thrown: unknown, code: ErrorCode): thrown is StackshimError =>
  thrown instanceof StackshimError && thrown.code === code;

/** Returns what `act` returns; undefined if it fails with one of `codes`, which are codes of system errors or of stackshim. */
export function unlessFailed<T>(act: () => T, codes: readonly string[]): T | undefined {
  try {
    return act();
  } catch (error) {
    return tolerate(...codes)(error);
  }
}

/** Returns what `act` returns; undefined if it fails because a file does not exist. */
export const unlessMissing = <T>(act: () => T): T | undefined => unlessFailed(act, ['ENOENT']);

/** For the `catch` of a promise: makes an error with one of these codes undefined, as {@link unlessFailed} does. */
export const tolerate =
  (...codes: readonly string[]) =>
  (error: unknown): undefined => {
    const code = error instanceof StackshimError ? error.code : errnoCodeOf(error);
    if (!codes.includes(code ?? '')) throw error;
  };

const USED_UP: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']);

/** Whether the process or host ran out of a resource. The file or program itself may be valid. */
export const isUsedUp = (thrown: unknown): boolean => USED_UP.has(errnoCodeOf(thrown) ?? '');

const READ_ONLY_HINT =
  'mount the filesystem writable, or name another folder (STACKSHIM_ROOT, STACKSHIM_RUN); dmesg shows whether a disk error made it read-only';

/** Errors of a failing disk, or of a filesystem that refuses writes. */
const OF_FAILING_DISK: ReadonlySet<string> = new Set(['EIO', 'EROFS', 'EBADMSG']);

/**
 * Returns a {@link StackshimError} unchanged; wraps anything else in one with `code`. For system errors, replaces the vague codes
 * ERR_STACKSHIM_INTERNAL and _SYSTEM: a failing disk and used-up limits have their own codes, and no system error is a defect of stackshim.
 */
export function toStackshimError(
  thrown: unknown,
  code: ErrorCode,
  operation: string,
): StackshimError {
  if (thrown instanceof StackshimError) return thrown;
  const errno = errnoCodeOf(thrown);
  const isVague = code === 'ERR_STACKSHIM_INTERNAL' || code === 'ERR_STACKSHIM_SYSTEM';
  const known = isVague && errno !== undefined ? codeOfErrno(errno) : code;
  const hint = errno === 'EROFS' ? READ_ONLY_HINT : undefined;
  return new StackshimError(known, `${operation}: ${messageOf(thrown)}`, { cause: thrown, hint });
}

function codeOfErrno(errno: string): ErrorCode {
  if (OF_FAILING_DISK.has(errno)) return 'ERR_STACKSHIM_DISK_FAILED';
  return USED_UP.has(errno) ? 'ERR_STACKSHIM_PROCESS_EXHAUSTED' : 'ERR_STACKSHIM_SYSTEM';
}

/** The reader closed the pipe before the archive was complete. The command then ends as after SIGPIPE: status 141, no message. */
export class ReaderGone extends StackshimError {
  constructor(name: string, cause: unknown) {
    super('ERR_STACKSHIM_SYSTEM', `write ${name}: its reader has gone`, { cause });
  }
}
