/** `--security-opt` entries. */
import { invalidField } from './invalid-field.ts';
import { parsePath } from './parse-path.ts';

export interface SecurityOptions {
  /** A profile file, `unconfined`, or absent for the bundle's own. */
  readonly seccomp?: string;
  readonly noNewPrivileges: boolean;
}

/** `seccomp=FILE|unconfined` and `no-new-privileges[=true|false]`; `:` works like `=`, as in docker; a later entry wins. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseSecurityOpts(entries: readonly string[], field: string): SecurityOptions {
  let seccomp: string | undefined;
  let noNewPrivileges = true;
  for (const entry of entries) {
    const [, key, value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(entry) ?? [];
    if (key === 'seccomp' && value !== undefined) seccomp = parsePath(value, field);
    else if (key === 'no-new-privileges' && (value === undefined || value === 'true')) {
      noNewPrivileges = true;
    } else if (key === 'no-new-privileges' && value === 'false') noNewPrivileges = false;
    else {
      throw invalidField(
        field,
        'not seccomp=FILE, seccomp=unconfined or no-new-privileges=true|false',
        entry,
      );
    }
  }
  return { ...(seccomp === undefined ? {} : { seccomp }), noNewPrivileges };
}
