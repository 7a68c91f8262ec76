/** Pushes a code package to a registry like any image; other machines pull it by its digest. */
import { open } from 'node:fs/promises';
import type { ImageDigest, TenantName } from '../../core/ids.ts';
import type { Layout } from '../../core/layout.ts';
import type { PackageReference } from '../../spec/task-spec.ts';
import { addImageNames } from '../../store/images/store-image.ts';
import type { PackageRevision } from '../../store/packages/package.ts';
import { resolvePackage } from '../../store/packages/resolve-package.ts';
import { withHeldStore } from '../../store/store-lease.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import { abortable } from '../abortable.ts';
import { writeImageArchive } from '../archives/write-image-archive.ts';
import { inWorkFolder } from '../in-work-folder.ts';
import { toReporter } from '../progress.ts';
import type { ExchangeOptions } from '../publish-image.ts';
import { copyToRegistry } from '../registry/copy-to-registry.ts';
import { parsePushName } from '../registry/image-reference.ts';
import { type RegistryOptions, takeAuthFile } from '../registry/run-skopeo.ts';

export interface PushPackageOptions extends ExchangeOptions, RegistryOptions {
  readonly package: PackageReference;
  readonly tenant: TenantName | null;
  /** `docker://HOST/NAME[:TAG]`. */
  readonly reference: string;
}

/** A package in a registry. */
export interface PushedPackage extends Pick<PackageRevision, 'name' | 'tenant' | 'revision'> {
  readonly reference: string;
  /** Content digest, by which `code.pull` finds the package. */
  readonly image: ImageDigest;
  /** The registry's own digest. */
  readonly digest: ImageDigest;
}

/** Throws the errors of `resolvePackage`, ERR_STACKSHIM_REGISTRY_FAILED, ERR_STACKSHIM_LAYER_CORRUPT, ERR_STACKSHIM_DISK_FULL. */
export async function pushPackage(
  layout: Layout,
  options: PushPackageOptions,
): Promise<PushedPackage> {
  const target = parsePushName(options.reference);
  const { system, signal, tenant } = options;
  const report = toReporter(options.onProgress);
  return await abortable(`push code package ${options.package.name}`, signal, () =>
    inWorkFolder(layout, (work) =>
      withHeldStore(layout, system, async (lease) => {
        const { name, revision, image } = resolvePackage(layout, options.package, tenant);
        await lease.pin(image.digest);
        for (const id of image.layers) await lease.pin(id);
        const file = `${work}/image.tar`;
        const reference = `localhost/${name}:rev-${revision}`;
        report({ kind: 'step', step: 'export', text: `export ${name} revision ${revision}` });
        await guardDisk(`write ${file}`, async () => {
          const archive = await open(file, 'wx', 0o600);
          try {
            await writeImageArchive(layout, archive, { image, reference, system, report, signal });
          } finally {
            await archive.close();
          }
        });
        const run = { ...takeAuthFile(options, work), work, report };
        const digest = await copyToRegistry(file, target, image.digest, run);
        await addImageNames(layout, image.digest, { system, others: [digest] });
        const pushed = { image: image.digest, reference: options.reference, digest };
        return { name, tenant, revision, ...pushed };
      }),
    ),
  );
}
