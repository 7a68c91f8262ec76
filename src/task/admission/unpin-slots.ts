/** Unpins user namespaces that only a machine with many tasks at once needs. */
import { closeSync, rmSync } from 'node:fs';
import type { Layout } from '../../core/layout.ts';
import { removeMountPoint } from '../../sys/detach-copies.ts';
import { namesIn } from '../../sys/files.ts';
import { claimThisNumber } from '../../sys/numbered-locks.ts';
import type { System } from '../../sys/system.ts';
import { isOwnFolder } from '../../sys/trusted-path.ts';
import { openPinnedUserNamespace } from '../../sys/user-namespace.ts';
import { isTaken, pinFile } from './slot.ts';

/** Slots below this number keep their pins: they are reused first. */
const KEPT_PINS = 16;

/**
 * Unpins the user namespaces of free slots from number 16 on. Each pin slows every start; a later task
 * in the slot pins it again. Claims each slot meanwhile, so that no task finds its slot half unpinned.
 */
export function unpinIdleSlots(system: System, { slots }: Pick<Layout, 'slots'>): void {
  if (!isOwnFolder(slots)) return;
  for (const name of namesIn(slots)) {
    const index = Number(/^(\d+)\.userns$/.exec(name)?.[1] ?? -1);
    if (index < KEPT_PINS) continue;
    const held = claimThisNumber(system, index, { folder: slots, holder: '', isTaken });
    if (held === undefined) continue;
    try {
      const pin = pinFile({ slots }, index);
      const namespace = openPinnedUserNamespace(pin);
      if (namespace !== undefined) {
        closeSync(namespace);
        system.detachMount(pin);
      }
      removeMountPoint(system, pin, () => rmSync(pin, { force: true }));
    } finally {
      held.release();
    }
  }
}
