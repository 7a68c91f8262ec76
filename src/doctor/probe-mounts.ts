/** Tries the mounts of a task's root filesystem on the real kernel, with an empty layer, and undoes them. */
import { closeSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { CleanupStack } from '../core/cleanup-stack.ts';
import { messageOf } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { isRefusedMode, type LowersMode, mountOverlay } from '../rootfs/mount-overlay.ts';
import { openLayerFile } from '../store/layers/open-layer-file.ts';
import { nearestExisting } from '../sys/files.ts';
import { withSystemFd } from '../sys/paths.ts';
import type { System } from '../sys/system.ts';
import { createUserNamespace } from '../sys/user-namespace.ts';
import { slotIds } from '../task/admission/slot.ts';
import { makeVolume } from '../task/disk/make-volume.ts';
import { toDiskLimit } from '../task/disk/open-task-disk.ts';
import { type Check, failed, hintOf, passed, required } from './check.ts';
import { findMechanism } from './check-disk-limit.ts';

/** An EROFS image with one empty folder: 4 KiB, deflated. Made by `mkfs.erofs` 1.8.6 with a zero UUID. */
const EMPTY_LAYER =
  '7dEhDoBADETR2YLkABDs6r0DB+USXIgFT1DoYjYEgUGg+M+0kzQZUQnAX63Lkcd9nipJjaLCw034sL+WtA2mvmR393tfLLOVXXsnU0qJ5wEAAAAvnQ==';
/** The size of the scratch volume in the trial. */
const PROBE_BYTES = 4 * 1024 * 1024;
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
 * Mounts an empty layer, maps its ids and puts an overlay on it, below the root folder (or the nearest existing folder above it). Leaves
 * nothing behind. Needs root. Never rejects: a failure is the finding.
 */
export async function probeMounts(system: System, layout: Layout): Promise<readonly Check[]> {
  const undo = new CleanupStack();
  const checks: Check[] = [];
  try {
    await probe({ system, layout, undo, checks });
  } catch (error) {
    // The first step without a finding is the one that failed.
    const failing = Object.values(subjects).at(checks.length) ?? subjects.overlay;
    checks.push(failed(failing, messageOf(error), hintOf(error, NEWER)));
  }
  for (const { name, error } of await undo.run({ deadlineMs: UNDO_DEADLINE_MS })) {
    const message = `could not undo: ${name}: ${messageOf(error)}`;
    checks.push(failed(subjects.overlay, message, 'unmount and remove it by hand'));
  }
  return checks;
}

interface Probe {
  readonly system: System;
  readonly layout: Layout;
  readonly undo: CleanupStack;
  readonly checks: Check[];
}

async function probe({ system, layout, undo, checks }: Probe): Promise<void> {
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
  const openFile = () => openLayerFile(system, file).fd;
  const tryBelow = async (scratches: string): Promise<string> => {
    let refusal: unknown;
    for (const [lowers, finding] of ways) {
      const scratch = `${scratches}/${lowers}`;
      try {
        const overlay = { type: 'overlay', target, layers, scratch } as const;
        await mountOverlay(system, overlay, { owner, lowers, openFile });
        return finding;
      } catch (error) {
        if (!isRefusedMode(error, lowers)) throw error;
        refusal = error;
      }
    }
    throw refusal;
  };
  checks.push(await probeOverlay({ system, undo, layout }, folder, tryBelow));
}

const OTHER_FILESYSTEM =
  'keep the root folder on a filesystem that can hold the writable layer of an overlay, such as ext4 or XFS, or set disk.mechanism to volume';

/**
 * Tries the overlay in the folder, then on a scratch volume. The folder may be on an overlay, which cannot hold another overlay's writable
 * layer; that is no fault if tasks use scratch volumes.
 *
 * @param tryBelow Mounts an overlay with its writable layer below a folder, and returns how. Throws the error if the kernel refuses.
 */
async function probeOverlay(
  { system, undo, layout }: Omit<Probe, 'checks'>,
  folder: string,
  tryBelow: (scratches: string) => Promise<string>,
): Promise<Check> {
  let refusal: unknown;
  try {
    return passed(subjects.overlay, await tryBelow(folder));
  } catch (error) {
    refusal = error;
  }
  const volume = `${folder}/volume`;
  mkdirSync(volume);
  const mounted = await makeVolume(system, `${folder}/volume.img`, toDiskLimit(PROBE_BYTES));
  withSystemFd(system, mounted, () => {
    system.attachMount(mounted, volume);
    undo.defer(`unmount ${volume}`, () => void system.detachMount(volume));
  });
  const finding = await tryBelow(volume);
  if ((await findMechanism(system, layout)) === 'volume') {
    return passed(subjects.overlay, `${finding}, with the writable layer on a scratch volume`);
  }
  const message = `${layout.root} cannot hold a task's writable layer: ${messageOf(refusal)}`;
  return failed(subjects.overlay, message, OTHER_FILESYSTEM);
}
