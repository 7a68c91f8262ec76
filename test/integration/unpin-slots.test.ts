/** Pinned user namespaces of slots, in a folder of the test. */
import { closeSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { readMounts } from '../../src/sys/mountinfo.ts';
import { claimThisNumber } from '../../src/sys/numbered-locks.ts';
import { createUserNamespace } from '../../src/sys/user-namespace.ts';
import { slotIds } from '../../src/task/admission/slot.ts';
import { unpinIdleSlots } from '../../src/task/admission/unpin-slots.ts';

let slots: string;
const pinOf = (index: number) => `${slots}/${index}.userns`;
const pinned = () => {
  const targets = readMounts().map(({ mountPoint }) => mountPoint);
  return [3, 20, 21].filter((index) => targets.includes(pinOf(index)));
};

beforeEach(async () => {
  slots = mkdtempSync('/run/stackshim-test-slots-');
  for (const index of [3, 20, 21]) {
    closeSync(await createUserNamespace(linuxSystem, slotIds(index), pinOf(index)));
  }
});
afterEach(() => {
  for (const index of pinned()) linuxSystem.detachMount(pinOf(index));
  rmSync(slots, { recursive: true });
});

it('are unpinned of idle slots with high numbers alone', () => {
  const held = claimThisNumber(linuxSystem, 21, {
    ...{ folder: slots, holder: 'a task', isTaken: () => false },
  });
  // A pin that its maker did not live to mount.
  writeFileSync(pinOf(30), '');
  unpinIdleSlots(linuxSystem, { slots });
  expect(pinned()).toEqual([3, 21]);
  expect([20, 30].filter((index) => existsSync(pinOf(index)))).toEqual([]);
  held?.release();
  unpinIdleSlots(linuxSystem, { slots });
  expect(pinned()).toEqual([3]);
});

it('can be pinned again', async () => {
  unpinIdleSlots(linuxSystem, { slots });
  closeSync(await createUserNamespace(linuxSystem, slotIds(20), pinOf(20)));
  expect(pinned()).toEqual([3, 20]);
});
