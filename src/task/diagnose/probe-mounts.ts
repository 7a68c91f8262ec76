/** Tries on the real kernel what every task's root filesystem is made of, with an empty layer, and undoes it. */
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { CleanupStack } from '../../core/cleanup-stack.ts';
import { messageOf } from '../../core/errors.ts';
import type { Layout } from '../../core/layout.ts';
import { openLayerFile } from '../../layers/open-layer-file.ts';
import { isRefusedMode, type LowersMode, mountOverlay } from '../../rootfs/mount-overlay.ts';
import { nearestExisting } from '../../sys/files.ts';
import type { System } from '../../sys/system.ts';
import { createUserNamespace } from '../../sys/user-namespace.ts';
import { slotIds } from '../admission/slot.ts';
import { type Check, failed, passed, required } from './check.ts';

/** An EROFS image of one empty folder: 4 KiB, deflated. Made by `mkfs.erofs` 1.8.6 with a zero UUID. */
const EMPTY_LAYER =
  '7dEhDoBADETR2YLkABDs6r0DB+USXIgFT1DoYjYEgUGg+M+0kzQZUQnAX63Lkcd9nipJjaLCw034sL+WtA2mvmR393tfLLOVXXsnU0qJ5wEAAAAvnQ==';
const UNDO_DEADLINE_MS = 10_000;
const NEWER = 'boot a newer kernel: 5.19 at least, 6.12 or later to do without loop devices';

const subjects = {
  layer: required('EROFS layers'),
  idmap: required('idmapped layers'),
  overlay: required('overlay of layers'),
};

const ways: readonly (readonly [LowersMode, string])[] = [
  ['detached', 'made from layers that are attached nowhere'],
  ['attached', 'made from layers that are attached for a moment'],
  ['joined', 'made from layers that are attached for a moment, by the old mount call'],
];

/**
 * Mounts an empty layer, maps its ids and puts an overlay on it, below the root folder (or the nearest folder above that exists).
 * Leaves nothing behind; needs root. Never rejects: what fails is the finding.
 */
export async function probeMounts(system: System, layout: Layout): Promise<readonly Check[]> {
  const undo = new CleanupStack();
  const checks: Check[] = [];
  try {
    await probe({ system, undo, checks }, layout);
  } catch (error) {
    // The first step that has no finding yet is the one that failed.
    const failing = Object.values(subjects).at(checks.length) ?? subjects.overlay;
    checks.push(failed(failing, messageOf(error), NEWER));
  }
  for (const { name, error } of await undo.run({ deadlineMs: UNDO_DEADLINE_MS })) {
    const message = `could not undo: ${name}: ${messageOf(error)}`;
    checks.push(failed(subjects.overlay, message, 'unmount and remove it by hand'));
  }
  return checks;
}

interface Probe {
  readonly system: System;
  readonly undo: CleanupStack;
  readonly checks: Check[];
}

async function probe({ system, undo, checks }: Probe, layout: Layout): Promise<void> {
  const folder = mkdtempSync(`${nearestExisting(layout.root)}/.stackshim-doctor-`);
  undo.defer(`remove ${folder}`, () => rmSync(folder, { recursive: true }));
  const file = `${folder}/empty.erofs`;
  writeFileSync(file, inflateRawSync(Buffer.from(EMPTY_LAYER, 'base64')));
  const layer = openLayerFile(system, file);
  undo.defer('close the layer', () => system.close(layer.fd));
  checks.push(
    passed(
      subjects.layer,
      layer.onLoopDevice ? 'mounted through loop devices' : 'mounted straight from a file',
    ),
  );

  const pin = `${folder}/userns`;
  undo.defer(`unmount ${pin}`, () => void system.detachMount(pin));
  const userNamespaceFd = await createUserNamespace(system, slotIds(0), pin);
  undo.defer('close the user namespace', () => closeSync(userNamespaceFd));
  system.idmapMount(layer.fd, userNamespaceFd);
  checks.push(passed(subjects.idmap, 'ids of a layer can be mapped'));

  const target = `${folder}/rootfs`;
  undo.defer(`unmount ${target}`, () => void system.detachMount(target));
  const owner = { ids: slotIds(0), userNamespaceFd };
  const layers = [{ kind: 'file', path: file }] as const;
  for (const [lowers, finding] of ways) {
    const scratch = `${folder}/${lowers}`;
    try {
      mountOverlay(system, { type: 'overlay', target, layers, scratch }, { owner, lowers });
      checks.push(passed(subjects.overlay, finding));
      return;
    } catch (error) {
      if (!isRefusedMode(error, lowers)) throw error;
    }
  }
}
