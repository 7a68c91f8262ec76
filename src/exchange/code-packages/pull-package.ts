/** Pulls one revision of a code package from a registry, by digest. */
import type { PackageName, TenantName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { Image } from '../../store/images/image.ts';
import { addPackageRevision } from '../../store/packages/change-packages.ts';
import {
  type PackageRevision,
  readPackageNumbers,
  readPackageRevision,
} from '../../store/packages/package.ts';
import { readSettings } from '../../store/packages/resolve-package.ts';
import { abortable } from '../abortable.ts';
import { holdStoreFor } from '../hold-store-for.ts';
import type { ExchangeOptions } from '../publish-image.ts';
import { parsePinnedName } from '../registry/image-reference.ts';
import { pullByDigest } from '../registry/pull-by-digest.ts';
import type { RegistryOptions } from '../registry/run-skopeo.ts';

export interface PullPackageOptions extends ExchangeOptions, RegistryOptions {
  readonly name: PackageName;
  readonly tenant: TenantName | null;
  /** `docker://HOST/NAME@sha256:…`. */
  readonly reference: string;
  /** Whether the revision becomes current. Default: only if the package has no current revision. */
  readonly makeCurrent?: boolean | undefined;
}

/** A package that was pulled from a registry and stored. */
export interface PulledPackage
  extends Pick<PackageRevision, 'name' | 'tenant' | 'revision' | 'image'> {
  /** Whether the current revision changed. */
  readonly isNew: boolean;
}

/**
 * Pulls a revision unless the package already has it; a revision with the same image is not added twice. Throws the errors of `pullByDigest`, and
 * ERR_STACKSHIM_PACKAGE_INVALID if the image is not a code package; then nothing of the image stays.
 */
export async function pullPackage(
  layout: Layout,
  options: PullPackageOptions,
): Promise<PulledPackage> {
  const { name, tenant, reference, system, signal, makeCurrent = false } = options;
  const of = { name, tenant };
  const pinned = parsePinnedName(reference);
  return await abortable(`pull code package ${name}`, signal, () =>
    holdStoreFor(layout, system, async () => {
      const isOwn = ({ digest }: Image) =>
        readPackageNumbers(layout, of).some(
          (number) => readPackageRevision(layout, of, number)?.image === digest,
        );
      const image = await pullByDigest(layout, { ...options, ...pinned, isOwn });
      readSettings(image);
      const { entry, isNew } = await addPackageRevision(layout, system, {
        ...{ ...of, image: image.digest, now: new Date() },
        source: { kind: 'pull', reference },
        makeCurrent: makeCurrent ? 'always' : 'first',
      });
      return { ...of, revision: entry.revision, image: image.digest, isNew };
    }),
  );
}
