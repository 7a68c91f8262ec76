/** An installation as this process uses it: what all its tasks share, and its policy file. */
import { existsSync, lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { CgroupDriver } from '../cgroup/cgroup-driver.ts';
import { openCgroupDriver } from '../cgroup/open-cgroup-driver.ts';
import {
  type ErrorOptions,
  isUsedUp,
  messageOf,
  StackshimError,
  toStackshimError,
} from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { DEFAULT_POLICY, type Policy } from '../spec/policy.ts';
import { narrowStore } from '../store/narrow-store.ts';
import { type ExitWatcher, exits } from '../sys/exit-watcher.ts';
import { readBoundedFile } from '../sys/files.ts';
import { type HostFacts, readHostFacts } from '../sys/host-facts.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import type { System } from '../sys/system.ts';
import { requireTrustedPath, walkTrusted } from '../sys/trusted-path.ts';

export interface Installation {
  readonly layout: Layout;
  readonly system: System;
  readonly host: HostFacts;
  readonly cgroups: CgroupDriver;
  readonly exits: ExitWatcher;
}

const opened = new Map<string, Installation>();

/**
 * The installation of a layout. Opened once per process; its only effect on disk is {@link narrowStore}. Throws ERR_STACKSHIM_PATH_UNTRUSTED
 * like {@link toTrustedLayout}, ERR_STACKSHIM_PROCESS_EXHAUSTED, and ERR_STACKSHIM_SYSTEM.
 */
export function openInstallation(named: Layout): Installation {
  try {
    const layout = toTrustedLayout(named);
    const key = JSON.stringify(layout);
    const known = opened.get(key);
    if (known !== undefined) return known;
    narrowStore(layout);
    const made: Installation = {
      layout,
      system: linuxSystem,
      // Both are read at first use: a command in a running task needs no facts, and the runtime of a task is at work by the time of the other.
      get host() {
        return readHostFacts();
      },
      get cgroups() {
        return openCgroupDriver();
      },
      exits,
    };
    opened.set(key, made);
    return made;
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'open installation');
  }
}

/** Throws ERR_STACKSHIM_NOT_ROOT, which names the operation, unless this user is root. */
export function requireRoot(operation: string): void {
  if (process.geteuid?.() === 0) return;
  throw new StackshimError('ERR_STACKSHIM_NOT_ROOT', `${operation}: needs root`);
}

/**
 * The layout with all links in the paths of its folders resolved once; below them, no link is followed. Root trusts what these folders
 * contain, and runs some of it. Throws ERR_STACKSHIM_PATH_UNTRUSTED if another user controls a folder or a directory above it.
 */
export function toTrustedLayout(layout: Layout): Layout {
  return {
    ...layout,
    root: requireTrustedPath(layout.root, 'use root folder'),
    run: requireTrustedPath(layout.run, 'use run folder'),
  };
}

const MAX_BYTES = 1_048_576;

/**
 * Reads and parses the policy file. Reads synchronously, because the file is small and on the task path. Without a file at the default
 * path, {@link DEFAULT_POLICY} applies; a file that the caller or the environment named must exist. Rejects with
 * ERR_STACKSHIM_POLICY_INVALID if the file cannot be read or parsed, or if anyone but root (or this user) could have written it.
 */
export async function readPolicy({
  policyFile,
  policyIsOptional = false,
}: Pick<Layout, 'policyFile' | 'policyIsOptional'>): Promise<Policy> {
  const text = readTrusted(policyFile);
  if (text === undefined) {
    if (policyIsOptional) return DEFAULT_POLICY;
    throw invalidFile(policyFile, 'no such file', {
      hint: 'create the file ({} restricts nothing), or leave out STACKSHIM_POLICY and the option policy',
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidFile(policyFile, `not JSON: ${messageOf(error)}`, { cause: error });
  }
  const { parsePolicy } = await import('../spec/parse-policy.ts');
  return parsePolicy(value);
}

/** The file's text; undefined if the file does not exist. */
function readTrusted(policyFile: string): string | undefined {
  try {
    const { path, stats, fault } = walkTrusted(policyFile);
    if (fault !== undefined) {
      throw invalidFile(policyFile, `${fault.path} ${fault.problem}`, { hint: fault.hint });
    }
    if (stats !== undefined) return readBoundedFile(path, { maxBytes: MAX_BYTES });
    // A dangling link means that the operator wanted a policy.
    const link = findDanglingLink(policyFile);
    if (link === undefined) return undefined;
    throw invalidFile(policyFile, `${link} is a link that leads nowhere`);
  } catch (error) {
    if (isUsedUp(error)) throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'read policy file');
    if (error instanceof StackshimError) throw error;
    throw invalidFile(policyFile, messageOf(error), { cause: error });
  }
}

function findDanglingLink(path: string): string | undefined {
  const look = (at: string) => lstatSync(at, { throwIfNoEntry: false });
  let at = path;
  while (look(at) === undefined && at !== dirname(at)) at = dirname(at);
  return look(at)?.isSymbolicLink() && !existsSync(at) ? at : undefined;
}

function invalidFile(
  file: string,
  problem: string,
  more: Pick<ErrorOptions, 'cause' | 'hint'> = {},
): StackshimError {
  const message = `read policy file ${file}: ${problem}`;
  const details = { file };
  return new StackshimError('ERR_STACKSHIM_POLICY_INVALID', message, { ...more, details });
}
