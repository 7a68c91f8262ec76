/** A root folder with images without layers on disk: enough for names, revisions and generations. */
import { createHash } from 'node:crypto';

import {
  type ImageDigest,
  isImageDigest,
  isLayerId,
  isStackName,
  type StackName,
} from '../../../src/core/ids.ts';
import type { Layout } from '../../../src/core/layout.ts';
import type { Image } from '../../../src/store/images/image.ts';
import { writeImage } from '../../../src/store/images/store-image.ts';
import { addRevision } from '../../../src/store/stacks/change-revisions.ts';
import type { Revision } from '../../../src/store/stacks/revisions.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { MACHINE_SLOTS } from '../installation/machine-slots.ts';

export const NOW = new Date('2026-02-03T04:05:06.000Z');

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

export function stackName(text: string): StackName {
  if (isStackName(text)) return text;
  throw new Error(`${text} is not a stack name`);
}

export function digestOf(seed: string): ImageDigest {
  const digest = `sha256:${sha256(seed)}`;
  if (isImageDigest(digest)) return digest;
  throw new Error('not a digest');
}

/** A different image for each seed. */
export function imageOf(seed: string): Image {
  const id = sha256(`layer ${seed}`);
  if (!isLayerId(id)) throw new Error('not a layer id');
  return {
    digest: digestOf(seed),
    layers: [id],
    diffIds: [`sha256:${sha256(`tar ${seed}`)}`],
    config: { env: ['A=b'], entrypoint: [], cmd: ['sh'], workingDir: '/', user: '', labels: {} },
    architecture: 'amd64',
  };
}

/** Adds a revision of `name` with the image of `seed`. */
export async function addSeeded(layout: Layout, name: string, seed: string): Promise<Revision> {
  await writeImage(layout, imageOf(seed));
  return await addRevision(layout, linuxSystem, {
    stack: stackName(name),
    image: digestOf(seed),
    source: { kind: 'import', reference: seed },
    now: NOW,
  });
}

/** The layout of a root folder without a run folder. */
export function layoutAt(root: string): Layout {
  return { root, run: `${root}/run`, policyFile: `${root}/policy.json`, slots: MACHINE_SLOTS };
}
