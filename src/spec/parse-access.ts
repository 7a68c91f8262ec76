/**
 * Parses what a task asks of the host in addition to its image: mounts, devices, disk rates, rights, outputs. Loaded only for tasks that ask for any
 * of it.
 */
import { parseThrottles } from './limits.ts';
import { parseDevices, parseMounts } from './parse-mounts.ts';
import { parseOutputs } from './parse-outputs.ts';
import { parseCapability, parseSecurityOpts } from './parse-rights.ts';
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
