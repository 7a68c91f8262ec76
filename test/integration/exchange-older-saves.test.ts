/** A signed save stays valid forever: a save that is older than the stacks here, or contains more than its index, is refused. */
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addRevision } from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { readRevision } from '../../src/store/stacks/revisions.ts';
import { rollbackStack } from '../../src/store/stacks/rollback.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { makeBusyboxTar } from '../support/stacks/busybox-stack.ts';
import { toStack, useExchangeLab } from '../support/stacks/exchange-lab.ts';
import {
  makeSecondMachine,
  repeatLayer,
  type SecondMachine,
} from '../support/stacks/second-machine.ts';

const lab = useExchangeLab();
const folder = `${lab.folder}/second`;
const name = toStack('tools');
const OUTDATED = { code: 'ERR_STACKSHIM_SAVE_OUTDATED', kind: 'conflict' };
/** Three versions of the busybox stack's content; each is saved under its year. */
const years = [2021, 2022, 2023] as const;
const saves = new Map<number, Buffer>();
/** The operator's folder on both machines. */
const keys = generateKeyPairSync('ed25519');
let machine: SecondMachine;

const dateOf = (year: number) => new Date(Date.UTC(year, 0, 1));
const saveOf = (year: number) => saves.get(year) ?? Buffer.alloc(0);

beforeEach(() => {
  mkdirSync(folder, { recursive: true });
  machine = makeSecondMachine(folder, lab.installation.layout, keys);
});
afterEach(() => {
  disposeInstallation(machine.layout);
  rmSync(folder, { recursive: true });
});

beforeAll(async () => {
  // The task's root must be able to pass through it.
  chmodSync(lab.folder, 0o711);
  const layers = [await makeBusyboxTar()];
  for (const year of years) {
    const directory = `${lab.folder}/${year}`;
    await writeSmallOciLayout(directory, { layers, env: [`YEAR=${year}`] });
    await lab.import('tools', `oci:${directory}`);
    const saved = await saveOnce({ clock: () => dateOf(year) });
    saves.set(year, saved);
  }
});

/** Saves `tools` as it now is on the first machine. */
async function saveOnce(more: { readonly clock: () => Date }): Promise<Buffer> {
  mkdirSync(folder, { recursive: true });
  const { save } = makeSecondMachine(folder, lab.installation.layout, keys);
  const file = await save(['tools'], more);
  rmSync(folder, { recursive: true });
  return file;
}

/** `YEAR` in the current revision. */
const current = () =>
  resolveStack(machine.layout, { name }).image.config.env.find((one) => one.startsWith('YEAR'));

describe('a save', () => {
  it('replaces an older one; an older save is refused and none of it is stored', async () => {
    await machine.load(saveOf(2021));
    await machine.load(saveOf(2023));
    for (const year of [2022, 2021]) {
      await expect(machine.load(saveOf(year))).rejects.toMatchObject({
        ...OUTDATED,
        details: { stack: 'tools', newest: dateOf(2023).toISOString() },
      });
    }
    expect(current()).toBe('YEAR=2023');
    const images = readdirSync(`${machine.layout.root}/images`);
    expect(images.filter((file) => file.endsWith('.json'))).toHaveLength(2);
  });

  it('that is older is loaded if the operator asks for it, and still counts as older than the newest', async () => {
    await machine.load(saveOf(2023));
    await machine.load(saveOf(2021), { anyDate: true });
    expect(current()).toBe('YEAR=2021');
    await expect(machine.load(saveOf(2022))).rejects.toMatchObject(OUTDATED);
  });

  it('does not undo a rollback', async () => {
    await machine.load(saveOf(2021));
    await machine.load(saveOf(2022));
    const { layout } = machine;
    await rollbackStack(layout, linuxSystem, { stack: name, now: new Date() });
    await expect(machine.load(saveOf(2022))).rejects.toMatchObject(OUTDATED);
    expect(await machine.load(saveOf(2021))).toMatchObject({ stacks: [{ status: 'unchanged' }] });
    await machine.load(saveOf(2023));
    expect(current()).toBe('YEAR=2023');
  });

  it('counts as loaded even if it changed nothing', async () => {
    await machine.load(saveOf(2021));
    const again = await machine.save(['tools@rev:1'], { clock: () => dateOf(2023) });
    expect(await machine.load(again)).toMatchObject({ stacks: [{ status: 'unchanged' }] });
    await expect(machine.load(saveOf(2022))).rejects.toMatchObject(OUTDATED);
  });

  it('can be loaded again after its smoke command failed', async () => {
    await machine.load(saveOf(2021));
    const failing = machine.load(saveOf(2022), {
      runSmoke: () => Promise.reject(new Error('the machine stopped')),
    });
    await expect(failing).rejects.toThrow('the machine stopped');
    expect(await machine.load(saveOf(2022))).toMatchObject({ stacks: [{ status: 'loaded' }] });
  });

  it('is older than a revision that was made here after it', async () => {
    await machine.load(saveOf(2021));
    const { layout } = machine;
    const image = resolveStack(layout, { name }).image.digest;
    const now = dateOf(2023);
    const { revision } = await addRevision(layout, linuxSystem, {
      stack: name,
      image,
      source: { kind: 'import', reference: 'made here' },
      now,
    });
    const changes = new Map([[name, revision]]);
    await flipStacks(layout, linuxSystem, { changes, now, reason: 'made here' });
    await expect(machine.load(saveOf(2022))).rejects.toMatchObject(OUTDATED);
  });

  it('from the future is refused; if the operator asks for it, it counts as made today', async () => {
    const now = () => new Date('2026-06-01T00:00:00Z');
    const future = await machine.save(['tools@rev:2'], { clock: () => dateOf(2040) });
    await expect(machine.load(future, { clock: now })).rejects.toMatchObject(OUTDATED);
    await machine.load(future, { clock: now, anyDate: true });
    const source = readRevision(machine.layout, name, 1)?.source;
    expect(source).toMatchObject({ savedAt: now().toISOString() });
    const later = await machine.save(['tools'], { clock: () => new Date('2026-06-02T00:00:00Z') });
    await machine.load(later, { clock: () => new Date('2026-06-03T00:00:00Z') });
    expect(current()).toBe('YEAR=2023');
  });
});

describe('a file', () => {
  it('that repeats a layer is refused before the layer is stored again', async () => {
    const written = () => readdirSync(`${machine.layout.root}/layers`).length;
    await expect(machine.load(repeatLayer(saveOf(2021), 3))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
      message: expect.stringContaining('occurs twice'),
    });
    expect(written()).toBe(2);
  });

  it('that continues with endless zeros is refused', async () => {
    let pieces = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      yield saveOf(2021);
      for (; pieces < 10_000; pieces += 1) yield await Promise.resolve(Buffer.alloc(64 * 1024));
    }
    await expect(machine.load(Buffer.alloc(0), { input: endless() })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
    });
    expect(pieces).toBeLessThan(100);
  });
});

describe('a private key', () => {
  it.each([
    ['other users can read', (path: string) => chmodSync(path, 0o604)],
    ['a group can read', (path: string) => chmodSync(path, 0o640)],
    ['other users can write', (path: string) => chmodSync(path, 0o602)],
    ['belongs to another user', (path: string) => chownSync(path, 12_345, 12_345)],
  ])('that %s signs nothing', async (_, open) => {
    open(machine.keyFile);
    await expect(machine.save(['tools'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      hint: expect.stringContaining('chmod 600'),
    });
  });
});

describe('a file with passwords for registries', () => {
  it('that other users can read is refused', async () => {
    const authFile = `${folder}/auth.json`;
    writeFileSync(authFile, '{}', { mode: 0o644 });
    await expect(
      lab.import('pulled', 'docker://127.0.0.1:1/pulled', { authFile }),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
      hint: expect.stringContaining('chmod 600'),
    });
  });
});
