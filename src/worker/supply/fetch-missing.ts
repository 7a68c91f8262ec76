/** Brings what a job needs to this machine: pulls the image of its stack or code package from the registry, by its digest. */
import { hasCode, StackshimError } from '../../core/errors.ts';
import type { TenantName } from '../../core/ids.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import type { Stackshim } from '../../door/stackshim.ts';
import { splitReference } from '../job/reference.ts';
import { codePlace, stackPlace, type WorkerRegistry } from './registry-places.ts';

export type Supply = ReturnType<typeof createSupply>;

/** Finds stacks and code for the runner. An image is pulled once, however many jobs wait for it; without a registry, nothing is pulled. */
export function createSupply(
  door: Pick<Stackshim, 'stacks' | 'code'>,
  registry: WorkerRegistry | undefined,
) {
  const { tlsVerify, authFile } = registry ?? {};
  const access = withoutUndefined({ tlsVerify, authFile });
  return {
    /** Finds the package of a reference. Rejects with ERR_STACKSHIM_PACKAGE_NOT_FOUND if it is neither here nor in the registry. */
    async findCode(reference: string, tenant: TenantName | undefined, signal: AbortSignal) {
      try {
        return await door.code.resolve(reference, { tenant });
      } catch (error) {
        const { name, digest } = splitReference(reference);
        const isMissing = hasCode(error, 'ERR_STACKSHIM_PACKAGE_NOT_FOUND');
        if (!isMissing || registry === undefined || digest === undefined) throw error;
        const place = codePlace(registry.prefix, tenant, name);
        const options = { ...access, tenant, signal };
        await door.code.pull(name, `docker://${place}@${digest}`, options);
        return await door.code.resolve(reference, { tenant });
      }
    },
    /** Pulls a stack's image for a task that did not find it. False without a registry, or if the reference has no digest. */
    async fetchStack(reference: string, signal: AbortSignal): Promise<boolean> {
      const { name, digest } = splitReference(reference);
      if (registry === undefined || digest === undefined) return false;
      const place = `docker://${stackPlace(registry.prefix, name)}@${digest}`;
      await door.stacks.pull(name, place, { ...access, signal });
      return true;
    },
  };
}

/** Errors that another machine may not meet: this one lacks the stack or package, or the registry does not give it. */
const MISSING = [
  'ERR_STACKSHIM_STACK_NOT_FOUND',
  'ERR_STACKSHIM_PACKAGE_NOT_FOUND',
  'ERR_STACKSHIM_REGISTRY_FAILED',
] as const;

export const isMissingHere = (error: unknown): error is StackshimError =>
  error instanceof StackshimError && MISSING.some((code) => error.code === code);
