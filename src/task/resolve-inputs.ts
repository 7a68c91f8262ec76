/** Resolves the host's files and directories that a task names: the policy checks their paths without links, which are used from then on. */
import { realpathSync } from 'node:fs';
import { reasonOf, StackshimError } from '../core/errors.ts';
import { withoutUndefined } from '../core/read-fields.ts';
import { type Policy, requireAllowedPath } from '../spec/policy.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { AdmittedTaskSpec, FileInput } from '../spec/task-spec.ts';
import { readBoundedFd } from '../sys/files.ts';
import { type FoundPath, lookUpPath, openPlain, withFd } from '../sys/paths.ts';

/** People write seccomp profiles by hand, so a larger file is not a profile. */
const MAX_SECCOMP_BYTES = 4 * 1024 * 1024;

/**
 * Resolves every link in the paths of bind sources, code, payload and config, so that the task gets what the policy allowed. Throws
 * ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_DENIED, and ERR_STACKSHIM_DISK_LIMIT for a file larger than the task's disk limit.
 */
export function withRealInputs(
  spec: AdmittedTaskSpec,
  policy: Policy,
  received: ReadonlySet<string>,
): AdmittedTaskSpec {
  const { mounts, code, payload, config } = spec;
  const rules = { policy, received };
  return withoutUndefined({
    ...spec,
    mounts: mounts.map((mount) => toRealBind(mount, policy)),
    code:
      code?.kind === 'path' ? { ...code, path: findInput('code', code.path, rules).path } : code,
    payload: payload && toRealFile('payloadFile', payload, { spec, ...rules }),
    config: config && toRealFile('configFile', config, { spec, ...rules }),
  });
}

function toRealBind<T extends { readonly source: string }>(mount: T, policy: Policy): T {
  const source = readNamed('mounts', mount.source, () => realpathSync(mount.source));
  requireAllowedPath(policy.allow, 'bindSources', source, 'mounts');
  return { ...mount, source };
}

function toRealFile(
  field: string,
  input: FileInput,
  { spec, ...rules }: InputRules & { readonly spec: AdmittedTaskSpec },
): FileInput {
  if (input.kind === 'text') return input;
  const { path, stats } = findInput(field, input.path, rules);
  const { diskBytes } = spec.limits;
  if (!stats.isFile()) throw notFile(field, input.path);
  if (stats.size <= diskBytes) return { kind: 'file', path };
  const message = `read ${input.path}: ${stats.size} bytes, above the disk limit of ${diskBytes}`;
  const details = { field, path: input.path };
  throw new StackshimError('ERR_STACKSHIM_DISK_LIMIT', message, { details });
}

/**
 * Reads a seccomp profile from a file. Throws like {@link withRealInputs}, and ERR_STACKSHIM_SPEC_INVALID
 * for JSON that is not a profile. Text that is not JSON: ERR_STACKSHIM_INPUT_NOT_FOUND.
 */
export async function readSeccomp(file: string, policy: Policy): Promise<SeccompProfile> {
  const { parseSeccompProfile } = await import('../spec/seccomp-profile.ts');
  const field = 'securityOpt';
  const { path } = findInput(field, file, { policy, received: NONE });
  const text = readNamed(field, file, () => {
    const fd = openPlain(path, { followLinks: false });
    if (fd === undefined) throw notFile(field, file);
    return withFd(fd, () => readBoundedFd(fd, MAX_SECCOMP_BYTES));
  });
  return readNamed(field, file, () => parseSeccompProfile(JSON.parse(text)));
}

interface InputRules {
  readonly policy: Policy;
  /** Paths of files received from the caller. The policy does not restrict them, only the paths that a task names on the host. */
  readonly received: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

function findInput(field: string, path: string, { policy, received }: InputRules): FoundPath {
  const found = readNamed(field, path, () => lookUpPath(path));
  if (!received.has(path)) requireAllowedPath(policy.allow, 'inputs', found.path, field);
  return found;
}

const notFile = (field: string, path: string) =>
  new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: not a regular file`, {
    details: { field, path },
  });

/** Calls `read`. Errors that are not a StackshimError become ERR_STACKSHIM_INPUT_NOT_FOUND, with the field and the path. */
export function readNamed<T>(field: string, path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof StackshimError) throw error;
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${reasonOf(error)}`, {
      cause: error,
      details: { field, path },
    });
  }
}
