/** Disk space held to its limit by being a filesystem of its own: an ext4 file on a loop device, used again once it is empty. */
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import type { Layout } from '../../core/layout.ts';
import { nextTurn } from '../../core/pause.ts';
import { detachTarget, detachTargetAside } from '../../rootfs/mount-rootfs.ts';
import { fdPath } from '../../sys/paths.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { DiskAmount, Fd, System } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { claimIdleVolume, keepIdleVolume } from './idle-volumes.ts';
import { closeLast, freeLoopDevice, loopName, removeScratchFiles } from './scratch-files.ts';
import {
  type DiskSample,
  type HandedDisk,
  isUsedUp,
  type TaskDisk,
  type TaskDiskRequest,
} from './task-disk.ts';
import { isSoundVolume, loopDeviceOf, measureVolume, STAT_BLOCK_BYTES } from './volume-state.ts';

/** To empty a volume of so few files, which take so little, is faster than to make a new one. */
const FEW_INODES = 64;
const FEW_FILE_BYTES = 32 * 1024 * 1024;
/** From here on forgetting is faster than writing, and worth the line that it puts into the kernel's log. */
const MUCH_BYTES = 64 * 1024 * 1024;
const LOST_AND_FOUND = 'lost+found';

export async function openScratchVolume(
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
): Promise<TaskDisk> {
  const { places, limit, isUsual } = request;
  const claim = { places, limitBytes: limit.bytes };
  const claimed = isUsual ? claimIdleVolume(system, layout, claim) : undefined;
  const mounted =
    claimed?.volume ??
    (await (await import('./make-volume.ts')).makeVolume(system, places.volumeFile, limit));
  let held: Fd;
  try {
    system.attachMount(mounted, places.scratchDir);
    held = system.openTreeClone(places.scratchDir);
  } finally {
    system.close(mounted);
  }
  try {
    chmodSync(places.scratchDir, 0o700);
    await claimed?.detached;
  } catch (error) {
    system.close(held);
    throw error;
  }
  return new ScratchVolume({ system, layout, held, request });
}

/** The volume of a task that another process has handed over: it is mounted at the task's scratch folder. */
export const adoptScratchVolume = (
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
): TaskDisk =>
  new ScratchVolume({
    system,
    layout,
    held: system.openTreeClone(request.places.scratchDir),
    request,
  });

interface VolumeParts {
  readonly system: System;
  readonly layout: Layout;
  /** A detached mount of the volume: what keeps it when nothing is attached. */
  readonly held: Fd;
  readonly request: TaskDiskRequest;
}

class ScratchVolume implements TaskDisk {
  readonly mechanism = 'volume';
  readonly limit: DiskAmount;
  readonly #parts: VolumeParts;
  readonly #root: string;
  #isHeld = true;

  constructor(parts: VolumeParts) {
    this.#parts = parts;
    this.limit = parts.request.limit;
    this.#root = fdPath(parts.held);
  }

  get loopDevice(): string {
    return loopDeviceOf(this.#root);
  }

  async detach(): Promise<void> {
    const { system, request } = this.#parts;
    const { scratchDir } = request.places;
    await detachTargetAside(system, scratchDir);
    mkdirSync(scratchDir, { mode: 0o700 });
  }

  measure(): DiskSample {
    const sample = measureVolume(this.#root);
    return { ...sample, isFull: sample.isFull || isUsedUp(sample.bytes, this.limit) };
  }

  keep(): void {
    if (!this.#isHeld) return;
    const { system, held, request } = this.#parts;
    try {
      system.attachMount(held, request.places.scratchDir);
    } finally {
      this.#release();
    }
  }

  abandon(): void {
    if (!this.#isHeld) return;
    let folder: Fd | undefined;
    try {
      folder = openSync(this.#root, 'r');
      this.#forgetIfMuch(folder);
    } catch {
      // It is written then, which takes longer.
    } finally {
      if (folder !== undefined) closeSync(folder);
      this.#release();
    }
  }

  handOver(): HandedDisk {
    if (this.#isHeld) this.#release();
    return { mechanism: 'volume' };
  }

  async remove(): Promise<void> {
    const { system, request } = this.#parts;
    const { places } = request;
    try {
      // First: it detaches the copies that other mount namespaces have of what was mounted there.
      await detachTarget(system, places.scratchDir);
      await removeTree(places.scratchDir);
      await nextTurn();
      if (this.#isHeld && !(await this.#reuse())) await this.#destroy();
    } catch (error) {
      // A later removal goes by names: an open descriptor here would keep the space in use.
      if (this.#isHeld) this.#release();
      throw error;
    }
    await removeScratchFiles(places);
  }

  /** False: not emptied, or not wanted. */
  async #reuse(): Promise<boolean> {
    const { system, layout, held, request } = this.#parts;
    const { places, limit, isUsual } = request;
    if (!isUsual || !this.#isNearlyEmpty()) return false;
    try {
      for (const name of readdirSync(this.#root)) {
        if (name !== LOST_AND_FOUND) await removeTree(`${this.#root}/${name}`);
      }
      if (readdirSync(this.#root).some((name) => name !== LOST_AND_FOUND)) return false;
      if (!isSoundVolume(this.#root)) return false;
      if (!keepIdleVolume(system, layout, { places, limitBytes: limit.bytes, volume: held })) {
        return false;
      }
    } catch {
      // A filesystem with an error is read-only from then on. Whatever it was: it is not used again.
      return false;
    }
    this.#release();
    return true;
  }

  #isNearlyEmpty(): boolean {
    const { request } = this.#parts;
    const { blocks } = statSync(request.places.volumeFile);
    return this.measure().inodes <= FEW_INODES && blocks * STAT_BLOCK_BYTES <= FEW_FILE_BYTES;
  }

  /** The file first: what is left when something fails has no name any more. */
  async #destroy(): Promise<void> {
    const { volumeFile } = this.#parts.request.places;
    const device = this.loopDevice;
    const file = openSync(volumeFile, 'r+');
    try {
      const name = loopName(volumeFile, fstatSync(file));
      unlinkSync(volumeFile);
      const folder = openSync(this.#root, 'r');
      try {
        this.#forgetIfMuch(folder);
      } finally {
        await this.#releaseAside();
        // Waits until all is written.
        await closeLast(folder);
      }
      await freeLoopDevice(device, name, file);
    } finally {
      await closeLast(file);
    }
  }

  #forgetIfMuch(folder: Fd): void {
    if (this.measure().bytes >= MUCH_BYTES) this.#parts.system.shutDownFilesystem(folder);
  }

  #release(): void {
    this.#isHeld = false;
    this.#parts.system.close(this.#parts.held);
  }

  /** For a mount that is attached nowhere. */
  #releaseAside(): Promise<void> {
    this.#isHeld = false;
    return this.#parts.system.closeAside(this.#parts.held);
  }
}
