/** Parses the rights of a task: capabilities, and `--security-opt` entries. */
import { invalidField } from './field-errors.ts';
import { parsePath } from './parse-path.ts';
import { CAPABILITIES } from './policy.ts';
import type { HostAccess } from './task-spec.ts';

/** Converts `NET_RAW`, `cap_net_raw` and similar to `CAP_NET_RAW`; `ALL` stays. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseCapability(text: string, field: string): string {
  const upper = text.toUpperCase();
  if (upper === 'ALL') return upper;
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
  if (CAPABILITIES.includes(name)) return name;
  throw invalidField(field, 'no such capability', text);
}

/** `seccomp=FILE|unconfined` and `no-new-privileges[=true|false]`; `:` works like `=`, as in docker; a later entry wins. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseSecurityOpts(
  entries: readonly string[],
  field: string,
): Pick<HostAccess, 'seccomp' | 'noNewPrivileges'> {
  let seccomp: string | undefined;
  let noNewPrivileges = true;
  for (const entry of entries) {
    const [, key, value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(entry) ?? [];
    if (key === 'seccomp' && value !== undefined) seccomp = parsePath(value, field);
    else if (key === 'no-new-privileges' && ['true', 'false', undefined].includes(value)) {
      noNewPrivileges = value !== 'false';
    } else {
      const problem = 'not seccomp=FILE, seccomp=unconfined or no-new-privileges=true|false';
      throw invalidField(field, problem, entry);
    }
  }
  return { seccomp, noNewPrivileges };
}
