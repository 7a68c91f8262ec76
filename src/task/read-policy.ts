/** Reads the policy file. */
import { existsSync, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { isUsedUp, messageOf, StackshimError, toStackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { DEFAULT_POLICY, type Policy } from '../spec/policy.ts';
import { readBoundedFile } from '../sys/files.ts';
import { walkTrusted } from '../sys/trusted-path.ts';

type PolicyPlace = Pick<Layout, 'policyFile' | 'policyIsOptional'>;

const MAX_BYTES = 1_048_576;

/**
 * Reads and parses the policy file. Reads synchronously, because the file is small and on the task path. Without a file at the default
 * path, {@link DEFAULT_POLICY} applies; a file that the caller or the environment named must exist. Rejects with
 * ERR_STACKSHIM_POLICY_INVALID if the file cannot be read or parsed, or if anyone but root (or this user) could have written it.
 */
export async function readPolicy({
  policyFile,
  policyIsOptional = false,
}: PolicyPlace): Promise<Policy> {
  const path = findTrusted(policyFile);
  if (path === undefined) {
    if (policyIsOptional) return DEFAULT_POLICY;
    throw invalidFile(policyFile, 'no such file', {
      hint: 'create the file ({} restricts nothing), or unset STACKSHIM_POLICY and policyFile',
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(readText(policyFile, path));
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    throw invalidFile(policyFile, `not JSON: ${messageOf(error)}`, { cause: error });
  }
  const { parsePolicy } = await import('../spec/parse-policy.ts');
  return parsePolicy(value);
}

/** The path without links; undefined if the file does not exist. */
function findTrusted(policyFile: string): string | undefined {
  try {
    const { path, stats, fault } = walkTrusted(policyFile);
    if (fault !== undefined) {
      throw invalidFile(policyFile, `${fault.path} ${fault.problem}`, { hint: fault.hint });
    }
    if (stats !== undefined) return path;
    // A dangling link means that the operator wanted a policy.
    const link = findDanglingLink(policyFile);
    if (link === undefined) return undefined;
    throw invalidFile(policyFile, `${link} is a link that leads nowhere`);
  } catch (error) {
    throw toUnreadable(policyFile, error);
  }
}

function findDanglingLink(path: string): string | undefined {
  let at = path;
  let stats = lstatSync(at, { throwIfNoEntry: false });
  while (stats === undefined && at !== dirname(at)) {
    at = dirname(at);
    stats = lstatSync(at, { throwIfNoEntry: false });
  }
  return stats?.isSymbolicLink() && !existsSync(at) ? at : undefined;
}

function readText(policyFile: string, path: string): string {
  try {
    return readBoundedFile(path, { maxBytes: MAX_BYTES });
  } catch (error) {
    throw toUnreadable(policyFile, error);
  }
}

function toUnreadable(policyFile: string, error: unknown): StackshimError {
  if (isUsedUp(error)) return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'read policy file');
  if (error instanceof StackshimError) return error;
  return invalidFile(policyFile, messageOf(error), { cause: error });
}

function invalidFile(
  file: string,
  problem: string,
  { cause, hint }: { readonly cause?: unknown; readonly hint?: string | undefined } = {},
): StackshimError {
  return new StackshimError(
    'ERR_STACKSHIM_POLICY_INVALID',
    `read policy file ${file}: ${problem}`,
    { cause, details: { file }, ...(hint === undefined ? {} : { hint }) },
  );
}
