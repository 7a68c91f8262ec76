/** A volume's file is sparse: data written to the volume may have no room on the host's disk, which shows only later. */

import { statSync } from 'node:fs';
import { StackshimError } from '../../core/errors.ts';
import { type Layout, scratchDir } from '../../core/layout.ts';
import { freeBytesAt } from '../../sys/files.ts';
import type { TaskPlaces } from '../records/task-places.ts';
import { STAT_BLOCK_BYTES } from './volume-state.ts';

/** Throws ERR_STACKSHIM_DISK_FULL if a task's volume holds more bytes than the host's disk can store. */
export function requireStored(layout: Layout, places: TaskPlaces, bytes: number): void {
  const file = statSync(places.volumeFile, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (bytes <= freeBytesAt(scratchDir(layout)) + file.blocks * STAT_BLOCK_BYTES) return;
  throw new StackshimError(
    'ERR_STACKSHIM_DISK_FULL',
    "write the task's inputs: no space left on the host's disk",
  );
}
