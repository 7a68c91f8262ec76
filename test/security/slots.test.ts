/**
 * No two tasks share ids: a slot is not given away while the task that it names may run, and is claimed only in a folder that no other
 * user of the host could have prepared. Requires: root.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import type { Layout } from '../../src/core/layout.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { bootId } from '../../src/sys/processes.ts';
import { adoptSlot, claimSlot, slotIds } from '../../src/task/admission/slot.ts';

let folder: string;
let layout: Layout;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-slots-`);
  const slots = `${folder}/slots`;
  layout = { root: `${folder}/lib`, run: `${folder}/run`, policyFile: `${folder}/policy`, slots };
});

afterEach(() => {
  linuxSystem.detachMount(`${layout.slots}/0.userns`);
  rmSync(folder, { recursive: true });
});

const claim = () => claimSlot(linuxSystem, layout, parseTaskId('one'));

describe('a slot', () => {
  it('is claimed in a folder that is created if it does not exist', async () => {
    const slot = await claim();
    expect(slot).toMatchObject({ index: 0, ids: slotIds(0) });
    slot.release();
  });

  it('is held by one task at a time', async () => {
    const slots = await Promise.all([claim(), claim(), claim()]);
    expect(slots.map(({ index }) => index).sort()).toEqual([0, 1, 2]);
    for (const slot of slots) slot.release();
    for (const { index } of slots) linuxSystem.detachMount(`${layout.slots}/${index}.userns`);
    const again = await claim();
    expect(again.index).toBe(0);
    again.release();
  });

  it('is skipped until the task of a dead owner is removed', async () => {
    mkdirSync(layout.slots, { mode: 0o711 });
    mkdirSync(`${layout.run}/tasks/two`, { recursive: true });
    writeFileSync(`${layout.slots}/0`, `${bootId()}\ntwo\n${layout.run}\n`);
    const next = await claim();
    expect(next).toMatchObject({ index: 1, ids: slotIds(1) });
    next.release();
    linuxSystem.detachMount(`${layout.slots}/1.userns`);
    rmSync(`${layout.run}/tasks/two`, { recursive: true });
    const free = await claim();
    expect(free.index).toBe(0);
    free.release();
  });

  it('is adopted although somebody who looks for a free one has its lock for a moment', async () => {
    (await claim()).close();
    const looking = openSync(`${layout.slots}/0`, 'r+');
    expect(linuxSystem.lockFile(looking, { wait: false })).toBe(true);
    const adopting = adoptSlot(linuxSystem, layout, parseTaskId('one'), 0);
    closeSync(looking);
    const slot = await adopting;
    expect(slot.index).toBe(0);
    slot.release();
  });

  it('is not adopted for a task that does not hold it', async () => {
    const other = await claim();
    const adopting = adoptSlot(linuxSystem, layout, parseTaskId('two'), 0);
    await expect(adopting).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SYSTEM' });
    other.release();
  });

  it('above the first 256 leaves no mount on the host', async () => {
    mkdirSync(layout.slots, { mode: 0o711 });
    mkdirSync(`${layout.run}/tasks/two`, { recursive: true });
    for (let index = 0; index < 256; index += 1) {
      writeFileSync(`${layout.slots}/${index}`, `${bootId()}\ntwo\n${layout.run}\n`);
    }
    const slot = await claim();
    expect(slot.index).toBeGreaterThanOrEqual(256);
    expect(slot.ids).toEqual(slotIds(slot.index));
    expect(readlinkSync(`/proc/self/fd/${slot.userNamespaceFd}`)).toMatch(/^user:\[\d+\]$/);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(layout.slots);
    slot.release();
    rmSync(`${layout.run}/tasks/two`, { recursive: true });
  });

  describe('on a host with tasks of an earlier version', () => {
    const claimBeside = () => {
      const beside = { ...layout, olderSlots: `${folder}/older` };
      return claimSlot(linuxSystem, beside, parseTaskId('one'));
    };
    /** Claims a slot as an earlier version did. */
    const claimThere = () =>
      claimSlot(linuxSystem, { ...layout, slots: `${folder}/older` }, parseTaskId('older'));
    afterEach(() => {
      const pins = ['older/0', 'older/1', 'slots/1'].map((pin) => `${folder}/${pin}.userns`);
      for (const pin of pins) linuxSystem.detachMount(pin);
    });

    it('is never one that such a task has', async () => {
      const theirs = await claimThere();
      const ours = await claimBeside();
      expect([theirs.index, ours.index]).toEqual([0, 1]);
      ours.release();
      theirs.release();
      const free = await claimBeside();
      const next = await claimThere();
      expect([free.index, next.index]).toEqual([0, 1]);
      free.release();
      next.release();
    });

    it('is never one that such a task of a dead owner has', async () => {
      mkdirSync(`${folder}/older`, { mode: 0o711 });
      mkdirSync(`${layout.run}/tasks/two`, { recursive: true });
      writeFileSync(`${folder}/older/0`, `${bootId()}\ntwo\n${layout.run}\n`);
      const slot = await claimBeside();
      expect(slot.index).toBe(1);
      slot.release();
    });

    it('does not depend on a folder that another user created', async () => {
      mkdirSync(`${folder}/older`);
      writeFileSync(`${folder}/older/0`, `${bootId()}\ntwo\n${layout.run}\n`);
      mkdirSync(`${layout.run}/tasks/two`, { recursive: true });
      chownSync(`${folder}/older`, 1000, 1000);
      const slot = await claimBeside();
      expect(slot.index).toBe(0);
      slot.release();
    });
  });

  it('is free after a reboot', async () => {
    mkdirSync(layout.slots, { mode: 0o711 });
    mkdirSync(`${layout.run}/tasks/two`, { recursive: true });
    writeFileSync(`${layout.slots}/0`, `another-boot\ntwo\n${layout.run}\n`);
    const slot = await claim();
    expect(slot.index).toBe(0);
    slot.release();
  });

  it.each<[string, (slots: string) => void]>([
    ['belongs to another user', (slots) => chownSync(slots, 1000, 1000)],
    ['its group may write to', (slots) => chmodSync(slots, 0o775)],
    ['everybody may write to', (slots) => chmodSync(slots, 0o1777)],
  ])('is not taken from a folder that %s', async (_, open) => {
    mkdirSync(layout.slots, { mode: 0o711 });
    open(layout.slots);
    await expect(claim()).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_HOST_UNSUPPORTED',
      details: { path: layout.slots },
    });
    expect(readdirSync(layout.slots)).toEqual([]);
  });

  it('is not claimed through a link', async () => {
    mkdirSync(`${folder}/elsewhere`, { mode: 0o711 });
    symlinkSync(`${folder}/elsewhere`, layout.slots);
    await expect(claim()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_HOST_UNSUPPORTED' });
    expect(readdirSync(`${folder}/elsewhere`)).toEqual([]);
  });

  it('never has a user namespace that a link names', async () => {
    mkdirSync(layout.slots, { mode: 0o711 });
    symlinkSync('/proc/self/ns/user', `${layout.slots}/0.userns`);
    await expect(claim()).rejects.toMatchObject({ code: 'ELOOP' });
  });
});
