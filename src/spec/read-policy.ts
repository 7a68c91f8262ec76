/** The policy file on disk. */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import {
  errnoCodeOf,
  isUsedUp,
  messageOf,
  StackshimError,
  toStackshimError,
} from '../core/errors.ts';
import { parsePolicy } from './parse-policy.ts';
import { DEFAULT_POLICY, type Policy } from './policy.ts';

const MAX_BYTES = 1_048_576;

/**
 * Reads and parses the policy file; without one, {@link DEFAULT_POLICY} holds. One small file, read at once: it is on the task path.
 * Throws ERR_STACKSHIM_POLICY_INVALID when it cannot be read or parsed, or when anyone but root (or this user) could have written it.
 */
export function readPolicy(file: string): Policy {
  const text = readTrustedFile(file);
  if (text === undefined) return DEFAULT_POLICY;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidFile(file, `not JSON: ${messageOf(error)}`, error);
  }
  return parsePolicy(value);
}

function readTrustedFile(file: string): string | undefined {
  let fd: number;
  try {
    // Non-blocking: a FIFO in its place must not hang the task.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    if (isUsedUp(error)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'read policy file');
    throw invalidFile(file, messageOf(error), error);
  }
  try {
    const fault = faultOf(fstatSync(fd));
    if (fault !== undefined) throw invalidFile(file, fault);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function faultOf(stats: Stats): string | undefined {
  if (!stats.isFile()) return 'not a regular file';
  if (stats.size > MAX_BYTES) return `larger than ${MAX_BYTES} bytes`;
  if (stats.uid !== 0 && stats.uid !== process.geteuid?.())
    return 'owned by neither root nor this user';
  if ((stats.mode & 0o022) !== 0) return 'writable by group or others';
  return undefined;
}

function invalidFile(file: string, problem: string, cause?: unknown): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_POLICY_INVALID',
    `read policy file ${file}: ${problem}`,
    {
      cause,
      details: { file },
    },
  );
}
