/** Stacks whose images share a lowest layer and have one of their own: for tests of sharing and collection. */
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Layout } from '../../../src/core/layout.ts';
import { importOciLayout } from '../../../src/exchange/oci-image/import-oci-layout.ts';
import { type Image, STACK_LABELS } from '../../../src/store/images/image.ts';
import { addRevision } from '../../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../../src/store/stacks/flip-stacks.ts';
import type { Revision } from '../../../src/store/stacks/revisions.ts';
import { withHeldStore } from '../../../src/store/store-lease.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { writeSmallOciLayout } from '../images/small-oci-layout.ts';
import { makeTar } from '../images/small-tar.ts';
import { NOW, stackName } from './stack-store.ts';

/** Imports an image of two layers: `base`, and one with a file `seed`. */
export async function importSeeded(layout: Layout, base: Buffer, seed: string): Promise<Image> {
  // Beside the root folder: if this process is killed, it is removed with the test's folder.
  const directory = await mkdtemp(`${dirname(layout.root)}/seeded-`);
  try {
    const own = makeTar([{ path: 'seed', content: seed }]);
    await writeSmallOciLayout(directory, {
      layers: [base, own],
      labels: { [STACK_LABELS.description]: seed },
    });
    return await importOciLayout(layout, { system: linuxSystem, directory, tag: 'latest' });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Imports such an image as the new current revision of a stack, under a lease, as every import does. */
export async function addSeededStack(
  layout: Layout,
  base: Buffer,
  { name, seed }: { readonly name: string; readonly seed: string },
): Promise<Revision> {
  return await withHeldStore(layout, linuxSystem, async () => {
    const image = await importSeeded(layout, base, seed);
    const stack = stackName(name);
    const source = { kind: 'import', reference: seed } as const;
    const added = { stack, image: image.digest, source, now: NOW };
    const revision = await addRevision(layout, linuxSystem, added);
    const changes = new Map([[stack, revision.revision]]);
    await flipStacks(layout, linuxSystem, { changes, now: NOW, reason: `add ${seed}` });
    return revision;
  });
}
