/** Checks single values against the policy's permissions. */
import { deniedField } from './denied-field.ts';
import { isAtOrBelow } from './parse-path.ts';
import type { Permissions } from './policy.ts';
import type { TaskSpec } from './task-spec.ts';

/** Throws ERR_STACKSHIM_SPEC_DENIED unless `allowed` contains `asked`. */
export function requireAllowed(
  allowed: readonly string[],
  asked: string,
  { field, rule }: { readonly field: string; readonly rule: string },
): void {
  if (allowed.includes(asked)) return;
  throw deniedField({
    field,
    asked,
    allowed,
    reason: `the policy's ${rule} ${allowed.length === 0 ? 'is empty' : `allows only ${allowed.join(', ')}`}`,
  });
}

/** For a bundle template, whether the task or its image's label named it. Throws ERR_STACKSHIM_SPEC_DENIED. */
export function requireAllowedBundle(allow: Permissions, bundle: string): void {
  requireAllowed(allow.bundles, bundle, { field: 'bundle', rule: 'allow.bundles' });
}

/**
 * Checks the host side of a bind, an absolute normalised path. Does not follow links: the code that mounts it checks
 * the path they lead to again. Throws ERR_STACKSHIM_SPEC_DENIED.
 */
export function requireAllowedBindSource(allow: Permissions, source: string): void {
  requireAllowedPath(allow.bindSources, source, { field: 'mounts', rule: 'allow.bindSources' });
}

/** The same for a file or directory of the host that is copied for a task, or whose content decides about it. */
export function requireAllowedInput(allow: Permissions, path: string, field: string): void {
  requireAllowedPath(allow.inputs, path, { field, rule: 'allow.inputs' });
}

/** The same for a device of the host. */
export function requireAllowedDevice(allow: Permissions, source: string): void {
  requireAllowedPath(allow.devices, source, { field: 'devices', rule: 'allow.devices' });
}

function requireAllowedPath(
  allowed: readonly string[],
  asked: string,
  named: { readonly field: string; readonly rule: string },
): void {
  if (allowed.some((folder) => isAtOrBelow(asked, folder))) return;
  requireAllowed(allowed, asked, named);
}

export function admitBinds({ mounts }: TaskSpec, allow: Permissions): void {
  for (const { source } of mounts) requireAllowedBindSource(allow, source);
}

export function admitDevices({ devices }: TaskSpec, allow: Permissions): void {
  for (const { source } of devices) requireAllowedDevice(allow, source);
}

export function admitCapabilities({ capAdd }: TaskSpec, allow: Permissions): void {
  if (allow.capAdd.includes('ALL')) return;
  for (const capability of capAdd) {
    requireAllowed(allow.capAdd, capability, { field: 'capAdd', rule: 'allow.capAdd' });
  }
}

export function admitSecurity({ seccomp, noNewPrivileges }: TaskSpec, allow: Permissions): void {
  requireAllowed(allow.seccomp, seccompKind(seccomp), {
    field: 'securityOpt',
    rule: 'allow.seccomp',
  });
  if (noNewPrivileges || allow.newPrivileges) return;
  throw deniedField({
    field: 'securityOpt',
    asked: 'no-new-privileges=false',
    allowed: 'no-new-privileges=true',
    reason: "the policy's allow.newPrivileges is false",
  });
}

function seccompKind(seccomp: string | undefined): Permissions['seccomp'][number] {
  if (seccomp === undefined) return 'bundle';
  return seccomp === 'unconfined' ? 'unconfined' : 'file';
}
