/** Slots are claimed only from a folder that no other user of the host could have prepared. Requires: root. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseTaskId } from '../../src/core/ids.ts';
import type { Layout } from '../../src/core/layout.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { claimSlot, slotIds } from '../../src/task/slot.ts';

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
  it('comes from a folder that is made where there is none', async () => {
    const slot = await claim();
    expect(slot).toMatchObject({ index: 0, ids: slotIds(0) });
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

  it('is not taken through a link', async () => {
    mkdirSync(`${folder}/elsewhere`, { mode: 0o711 });
    symlinkSync(`${folder}/elsewhere`, layout.slots);
    await expect(claim()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_HOST_UNSUPPORTED' });
    expect(readdirSync(`${folder}/elsewhere`)).toEqual([]);
  });

  it('has no namespace that a link names', async () => {
    mkdirSync(layout.slots, { mode: 0o711 });
    symlinkSync('/proc/self/ns/user', `${layout.slots}/0.userns`);
    await expect(claim()).rejects.toMatchObject({ code: 'ELOOP' });
  });
});
