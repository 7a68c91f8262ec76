/** Opens the door's `code`. Each member loads its code when it is called. */
import { parseTenantName, type TenantName } from '../core/ids.ts';
import { invalidField } from '../spec/field-errors.ts';
import { parsePackageReference } from '../spec/parse-command.ts';
import type { RemovedPackage } from '../store/packages/change-packages.ts';
import type { Code, TenantChoice } from './code.ts';
import type { Opener } from './open-stacks.ts';

export const openCode = (open: Opener): Code => ({
  ...readingMembers(open),
  ...changingMembers(open),
});

const readingMembers = (open: Opener) =>
  ({
    async resolve(text, options = {}) {
      const reference = parsePackageReference(text, 'name');
      const tenant = tenantOf(options);
      const { resolvePackage } = await import('../store/packages/resolve-package.ts');
      return resolvePackage(open.asRoot('find code package').layout, reference, tenant);
    },
    async list({ all = false, onDamage, ...choice } = {}) {
      if (all && choice.tenant !== undefined)
        throw invalidField('all', 'given together with tenant');
      const tenant = all ? undefined : tenantOf(choice);
      const { listPackages } = await import('../store/packages/list-packages.ts');
      return listPackages(open.asRoot('list code packages').layout, tenant, onDamage);
    },
    async show(text, options = {}) {
      const reference = parsePackageReference(text, 'name');
      const tenant = tenantOf(options);
      const { showPackage } = await import('../store/packages/list-packages.ts');
      return showPackage(open.asRoot('show code package').layout, reference, tenant);
    },
    async history(name, options = {}) {
      const of = toOwner(name, options);
      const { readPackageHistory } = await import('../store/packages/list-packages.ts');
      return readPackageHistory(open.asRoot('show history of code package').layout, of);
    },
    async diff(text, { from, to, ...options } = {}) {
      const reference = parsePackageReference(text, 'name');
      const tenant = tenantOf(options);
      if (to !== undefined && (reference.revision ?? reference.image) !== undefined) {
        throw invalidField('to', 'given together with a revision after "@"', to);
      }
      const { layout, system } = open.asRoot('compare revisions');
      const { diffPackage } = await import('../store/packages/diff-package.ts');
      const after = to === undefined ? reference : { ...reference, revision: to };
      return diffPackage(layout, system, { tenant, from, to: after });
    },
  }) satisfies Partial<Code>;

const changingMembers = (open: Opener) =>
  ({
    async add(name, path, options = {}) {
      const { addPackage } = await import('../exchange/code-packages/add-package.ts');
      return await addPackage(open.asRoot('add code package'), { name, path }, options);
    },
    async push(text, reference, { tenant, ...options } = {}) {
      const named = parsePackageReference(text, 'name');
      const whose = tenantOf({ tenant });
      const { layout, system } = open.asRoot('push code package');
      const { pushPackage } = await import('../exchange/code-packages/push-package.ts');
      const target = { package: named, tenant: whose, reference };
      return await pushPackage(layout, { ...options, system, ...target });
    },
    async pull(text, reference, { tenant, ...options } = {}) {
      const of = toOwner(text, { tenant });
      const { layout, system } = open.asRoot('pull code package');
      const { pullPackage } = await import('../exchange/code-packages/pull-package.ts');
      return await pullPackage(layout, { ...options, system, ...of, reference });
    },
    async rollback(name, { to, ...options } = {}) {
      const of = toOwner(name, options);
      const { rollbackPackage } = await import('../store/packages/change-packages.ts');
      const now = new Date();
      return await rollbackPackage(open.asRoot('roll back code package'), of, { to, now });
    },
    async remove(names, options = {}) {
      const all = [...new Set(names)].map((name) => toOwner(name, options));
      const installation = open.asRoot('remove code packages');
      const { removePackage, requirePackage } = await import(
        '../store/packages/change-packages.ts'
      );
      for (const of of all) requirePackage(installation.layout, of);
      const removed: RemovedPackage[] = [];
      for (const of of all) removed.push(await removePackage(installation, of));
      return removed;
    },
  }) satisfies Partial<Code>;

const tenantOf = ({ tenant }: TenantChoice): TenantName | null =>
  tenant === undefined ? null : parseTenantName(tenant);

/** Throws ERR_STACKSHIM_SPEC_INVALID for an invalid name, and for a name with a revision. */
function toOwner(text: string, options: TenantChoice) {
  const { name, revision, image } = parsePackageReference(text, 'name');
  if ((revision ?? image) !== undefined) {
    throw invalidField('name', 'the name of a package alone, without "@"', text);
  }
  return { name, tenant: tenantOf(options) };
}
