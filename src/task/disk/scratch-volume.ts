/** Disk space limited by a filesystem of its own: an ext4 file on a loop device, reused once it is empty. */
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
import { fdPath, withSystemFd } from '../../sys/paths.ts';
import { removeTree } from '../../sys/remove-tree.ts';
import type { DiskAmount, Fd, System } from '../../sys/system.ts';
import type { Installation } from '../installation.ts';
import { claimIdleVolume, keepIdleVolume } from './idle-volumes.ts';
import { closeLast, freeLoopDevice, loopName, removeScratchFiles } from './scratch-files.ts';
import { type DiskSample, isUsedUp, type TaskDisk, type TaskDiskRequest } from './task-disk.ts';
import { isSoundVolume, loopDeviceOf, measureVolume, STAT_BLOCK_BYTES } from './volume-state.ts';

/** A volume with at most this many files, and this much data, is emptied faster than a new one is made. */
const FEW_INODES = 64;
const FEW_FILE_BYTES = 32 * 1024 * 1024;
/** From this size on, dropping unwritten data is faster than writing it, and worth a line in the kernel's log. */
const SHUT_DOWN_FROM_BYTES = 64 * 1024 * 1024;
const LOST_AND_FOUND = 'lost+found';

export async function openScratchVolume(
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
): Promise<TaskDisk> {
  const { places, limit, isUsual } = request;
  const claimed = isUsual ? claimIdleVolume(system, layout, places, limit.bytes) : undefined;
  const mounted =
    claimed?.volume ??
    (await (await import('./make-volume.ts')).makeVolume(system, places.volumeFile, limit));
  const held = withSystemFd(system, mounted, () => {
    system.attachMount(mounted, places.scratchDir);
    return system.openTreeClone(places.scratchDir);
  });
  try {
    chmodSync(places.scratchDir, 0o700);
    await claimed?.detached;
  } catch (error) {
    system.close(held);
    throw error;
  }
  return new ScratchVolume({ system, layout, held, request });
}

/** Takes over the volume of a task from another process. Precondition: it is mounted at the task's scratch folder. */
export function adoptScratchVolume(
  { system, layout }: Pick<Installation, 'system' | 'layout'>,
  request: TaskDiskRequest,
): TaskDisk {
  const held = system.openTreeClone(request.places.scratchDir);
  return new ScratchVolume({ system, layout, held, request });
}

interface VolumeParts {
  readonly system: System;
  readonly layout: Layout;
  /** A detached mount of the volume, which keeps the volume while nothing is attached. */
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

  get descriptor(): Fd {
    return this.#parts.held;
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

  close(): void {
    if (!this.#isHeld) return;
    let folder: Fd | undefined;
    try {
      folder = openSync(this.#root, 'r');
      this.#shutDownIfLarge(folder);
    } catch {
      // Then the kernel writes the data, which takes longer.
    } finally {
      if (folder !== undefined) closeSync(folder);
      this.#release();
    }
  }

  handOver(): void {
    if (this.#isHeld) this.#release();
  }

  async remove(): Promise<void> {
    const { system, request } = this.#parts;
    const { places } = request;
    try {
      // Detach first: this also detaches the copies of mounts below, in other mount namespaces.
      await detachTarget(system, places.scratchDir);
      await removeTree(places.scratchDir);
      await nextTurn();
      if (this.#isHeld && !(await this.#reuse())) await this.#destroy();
    } catch (error) {
      // A later removal works by names, and a descriptor open here would keep the space in use.
      if (this.#isHeld) this.#release();
      throw error;
    }
    await removeScratchFiles(places);
  }

  /** Returns false if the volume could not be emptied, or is not needed. */
  async #reuse(): Promise<boolean> {
    const { held, request } = this.#parts;
    const { places, limit, isUsual } = request;
    if (!isUsual || this.measure().inodes > FEW_INODES) return false;
    if (statSync(places.volumeFile).blocks * STAT_BLOCK_BYTES > FEW_FILE_BYTES) return false;
    const list = () => readdirSync(this.#root).filter((name) => name !== LOST_AND_FOUND);
    try {
      for (const name of list()) await removeTree(`${this.#root}/${name}`);
      if (list().length > 0 || !isSoundVolume(this.#root)) return false;
      if (!keepIdleVolume(this.#parts, places, limit.bytes, held)) return false;
    } catch {
      // An error may have made the filesystem read-only. Whatever the error, do not reuse the volume.
      return false;
    }
    this.#release();
    return true;
  }

  /** Unlinks the file first, so that a later failure leaves nothing with a name. */
  async #destroy(): Promise<void> {
    const { volumeFile } = this.#parts.request.places;
    const device = this.loopDevice;
    const file = openSync(volumeFile, 'r+');
    try {
      const name = loopName(volumeFile, fstatSync(file));
      unlinkSync(volumeFile);
      const folder = openSync(this.#root, 'r');
      try {
        this.#shutDownIfLarge(folder);
      } finally {
        this.#isHeld = false;
        // The mount is attached nowhere: close it off the event loop.
        await this.#parts.system.closeAside(this.#parts.held);
        // Closing waits until everything is written.
        await closeLast(folder);
      }
      await freeLoopDevice(device, name, file);
    } finally {
      await closeLast(file);
    }
  }

  #shutDownIfLarge(folder: Fd): void {
    if (this.measure().bytes >= SHUT_DOWN_FROM_BYTES) this.#parts.system.shutDownFilesystem(folder);
  }

  #release(): void {
    this.#isHeld = false;
    this.#parts.system.close(this.#parts.held);
  }
}
