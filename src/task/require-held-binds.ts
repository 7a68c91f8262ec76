/** Refuses read-only binds that a task could make writable again. */
import { StackshimError } from '../core/errors.ts';
import { resolveCapabilities } from '../oci/build-capabilities.ts';
import type { BundleTemplate } from '../oci/bundle-template.ts';
import { driverOf } from '../runtime/drivers/driver-of.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { AdmittedTaskSpec } from '../spec/task-spec.ts';

export interface HeldBindsInput {
  readonly spec: Pick<AdmittedTaskSpec, 'mounts' | 'capAdd' | 'capDrop'>;
  readonly template: BundleTemplate;
  readonly runtime: Pick<Runtime, 'kind'>;
}

/** A task that may mount can remount a bind writable, unless the runtime locks its flags. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function requireHeldBinds({ spec, template, runtime }: HeldBindsInput): void {
  if (driverOf(runtime).locksBinds) return;
  const bind = spec.mounts.find(({ readOnly }) => readOnly);
  if (bind === undefined) return;
  const changes = { add: spec.capAdd, drop: spec.capDrop };
  const held = resolveCapabilities(template.config.process.capabilities.bounding, changes);
  if (!held.includes('CAP_SYS_ADMIN')) return;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `mounts: with ${runtime.kind} a task with CAP_SYS_ADMIN could make ${bind.source} writable`,
    {
      details: { field: 'mounts', value: bind.source },
      hint: 'use runc, or leave out the capability or the read-only bind',
    },
  );
}
