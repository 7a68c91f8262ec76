/**
 * Finds the code package that a task names, joins the task with the package's settings, and mounts the package's layers. Loaded only for tasks of
 * code packages.
 */

import { parseTenantName } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import type { LayerSource } from '../core/mount.ts';
import { invalidField } from '../spec/field-errors.ts';
import type { TaskInput } from '../spec/task-input.ts';
import type { PackageReference, TaskSpec } from '../spec/task-spec.ts';
import { withSettings } from '../spec/with-settings.ts';
import { mountLayer } from '../store/layers/mount-layer.ts';
import type { PinnedPackage } from '../store/packages/package.ts';
import { resolvePackage } from '../store/packages/resolve-package.ts';
import type { Installation } from './installation.ts';

/** Joins the task with its package. Throws the errors of `resolvePackage` (ERR_STACKSHIM_PACKAGE_NOT_FOUND, …), ERR_STACKSHIM_SPEC_INVALID. */
export function joinPackage(
  layout: Layout,
  given: TaskInput,
  reference: PackageReference,
): { readonly packaged: PinnedPackage; readonly given: TaskInput } {
  if (given.build !== undefined) {
    const problem = 'given together with a code package, which is built when it is added';
    throw invalidField('build', problem);
  }
  const tenant = given.tenant === undefined ? null : parseTenantName(given.tenant);
  const packaged = resolvePackage(layout, reference, tenant);
  return { packaged, given: withSettings(given, packaged.settings) };
}

/** Adds the package's config to the spec, unless the task has its own. */
export function withPackageConfig(spec: TaskSpec, { settings }: PinnedPackage): TaskSpec {
  const { config } = settings;
  if (config === undefined || spec.config !== undefined) return spec;
  return { ...spec, config: { kind: 'text', text: config } };
}

/** Mounts the package's layers, and returns them lowest first. Precondition: the task's record names the image. */
export const mountPackage = (
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  { image }: Pick<PinnedPackage, 'image'>,
): readonly LayerSource[] =>
  image.layers.map((layer) => ({ kind: 'mounted', path: mountLayer(system, layout, layer) }));
