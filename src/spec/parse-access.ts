/** Parses what a task asks of the host beyond its image: mounts, devices, disk rates, rights, outputs. Loaded only for tasks that ask for any. */
import { invalidField } from './field-errors.ts';
import { parseThrottles } from './limits.ts';
import { parseCapability } from './parse-command.ts';
import { parseDevices, parseMounts } from './parse-mounts.ts';
import { parseOutputs } from './parse-outputs.ts';
import { parsePath } from './parse-path.ts';
import type { TaskInput } from './task-input.ts';
import type { HostAccess } from './task-spec.ts';

/** Parses the fields that the table of options marks with `spec: null`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseAccess(given: TaskInput): HostAccess {
  const asked = parseMounts(given);
  return {
    devices: parseDevices(given.devices ?? []),
    capAdd: parseCapabilities(given.capAdd, 'capAdd'),
    capDrop: parseCapabilities(given.capDrop, 'capDrop'),
    throttles: parseThrottles(given),
    ...asked,
    outputs: parseOutputs(given.outputs ?? [], asked),
    ...parseSecurityOpts(given.securityOpt ?? [], 'securityOpt'),
  };
}

const parseCapabilities = (names: readonly string[] = [], field: string): readonly string[] =>
  names.map((name, i) => parseCapability(name, `${field}[${i}]`));

/** Parses `seccomp=FILE|unconfined`, `no-new-privileges[=true|false]`, or with `:` as in docker. The last wins. Throws ERR_STACKSHIM_SPEC_INVALID. */
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
