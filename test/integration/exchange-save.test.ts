/** Stacks saved and loaded as they are stored: signed, verified, resumed, and only what the other side lacks. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Layout, trustedKeysDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { listHeldLayers, loadStacks } from '../../src/exchange/saves/load-stacks.ts';
import { type SaveStacksOptions, saveStacks } from '../../src/exchange/saves/save-stacks.ts';
import { readCurrentTarget } from '../../src/store/stacks/generations.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { damageLayer } from '../support/damage-layer.ts';
import { disposeInstallation } from '../support/dispose-installation.ts';
import { toStack, useExchangeLab } from '../support/exchange-lab.ts';
import { MACHINE_SLOTS } from '../support/machine-slots.ts';
import { linkPatchedRunc } from '../support/patched-runc.ts';
import { writeSmallOciLayout } from '../support/small-oci-layout.ts';
import { makeTar } from '../support/small-tar.ts';
import { writePolicy } from '../support/write-policy.ts';

const lab = useExchangeLab();
const keys = generateKeyPairSync('ed25519');
const keyFile = `${lab.folder}/key.pem`;
const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' });

/** The machine that loads. */
const other = `${lab.folder}/other`;
const receiver: Layout = {
  root: `${other}/lib`,
  run: `${other}/run`,
  policyFile: `${other}/policy.json`,
  slots: MACHINE_SLOTS,
};
const { root, run, policyFile } = receiver;

beforeAll(async () => {
  chmodSync(lab.folder, 0o711);
  writeFileSync(keyFile, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await lab.export('busybox', 'busybox.tar');
  mkdirSync(other);
  writePolicy(receiver);
  const directory = `${lab.folder}/second`;
  mkdirSync(directory);
  const top = makeTar([{ path: 'second', content: 'x'.repeat(1000) }]);
  await writeSmallOciLayout(directory, { layers: [busyboxTar(), top] });
  await lab.import('second', `oci:${directory}`);
});

function busyboxTar(): Buffer {
  const file = `${lab.folder}/busybox.tar`;
  const manifest = execFileSync('tar', ['-xOf', file, 'manifest.json']).toString();
  const [{ Layers }] = JSON.parse(manifest);
  return execFileSync('tar', ['-xOf', file, Layers[0]], { maxBuffer: 1 << 28 });
}

beforeEach(() => {
  mkdirSync(trustedKeysDir(receiver), { recursive: true });
  mkdirSync(run, { recursive: true });
  chmodSync(other, 0o711);
  linkPatchedRunc(receiver);
  writeFileSync(`${trustedKeysDir(receiver)}/operator.pem`, pemOf(keys.publicKey));
  return () => disposeInstallation(receiver);
});
afterAll(() => disposeInstallation(receiver));

async function save(stacks: readonly string[], more: Partial<SaveStacksOptions> = {}) {
  const parts: Buffer[] = [];
  const saved = await saveStacks(lab.installation.layout, {
    system: linuxSystem,
    stacks,
    keyFile,
    clock: () => new Date(0),
    write: async (chunks) => {
      for await (const chunk of chunks) parts.push(chunk);
    },
    ...more,
  });
  return { saved, file: Buffer.concat(parts) };
}

const load = (file: Uint8Array) =>
  loadStacks(receiver, {
    system: linuxSystem,
    runSmoke: ({ stack, revision }, command, { timeoutMs }) =>
      runTask(
        { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
        { root, run, policy: policyFile },
      ),
    input: Readable.from(cut(file)),
    name: 'saved.tar',
  });

function* cut(file: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < file.length; at += 10_000) yield file.subarray(at, at + 10_000);
}

/** What the loading machine has. */
const state = () => ({
  current: readCurrentTarget(receiver),
  layers: existsSync(`${root}/layers`) ? readdirSync(`${root}/layers`) : [],
  tmp: existsSync(`${root}/tmp`) ? readdirSync(`${root}/tmp`) : [],
});
const NOTHING = { current: undefined, layers: [], tmp: [] };

describe('saved stacks', () => {
  it('are loaded as they are stored, all at once', async () => {
    const { saved, file } = await save(['busybox', 'second']);
    expect(saved.layers).toEqual(lab.layersOf('second'));
    const loaded = await load(file);
    expect(loaded).toMatchObject({
      stacks: [
        { stack: 'busybox', revision: 1, status: 'loaded' },
        { stack: 'second', revision: 1, status: 'loaded' },
      ],
      layers: saved.layers,
    });
    for (const name of ['busybox', 'second']) {
      const sent = resolveStack(lab.installation.layout, { name: toStack(name) }).image;
      expect(resolveStack(receiver, { name: toStack(name) }).image).toEqual(sent);
    }
    expect(state()).toMatchObject({ current: 'generations/1.json', tmp: [] });
    const ran = await runTask(
      { stack: 'second', command: ['cat', '/second'] },
      { root, run, policy: policyFile },
    );
    expect(ran.output.stdout).toBe('x'.repeat(1000));
  });

  it('are loaded once', async () => {
    const { file } = await save(['busybox']);
    await load(file);
    expect(await load(file)).toMatchObject({
      stacks: [{ stack: 'busybox', revision: 1, status: 'unchanged' }],
      layers: [],
    });
    expect(state().current).toBe('generations/1.json');
  });

  it('give the same file each time', async () => {
    expect((await save(['second'])).file.equals((await save(['second'])).file)).toBe(true);
  });

  it('leave out what the other side has', async () => {
    await load((await save(['busybox'])).file);
    const have = new Set<string>(await listHeldLayers(receiver));
    const { saved, file } = await save(['second'], { have });
    expect(saved.leftOut).toEqual(lab.layersOf('busybox'));
    expect((await load(file)).layers).toEqual(lab.layersOf('second').slice(1));
  });

  it('are refused when they lack what is not here either', async () => {
    const have = new Set<string>(lab.layersOf('busybox'));
    const { file } = await save(['second'], { have });
    await expect(load(file)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
      details: { missing: lab.layersOf('busybox') },
    });
    expect(state().current).toBeUndefined();
  });

  it('go on after a break where they were', async () => {
    const { file } = await save(['second']);
    const [lower = '', upper = ''] = lab.layersOf('second');
    await expect(load(file.subarray(0, -4000))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
    });
    expect(state()).toMatchObject({ current: undefined, tmp: [] });
    expect(await listHeldLayers(receiver)).toEqual([lower]);
    expect((await load(file)).layers).toEqual([upper]);
  });

  it('are not made of a stack that is named twice or not there', async () => {
    await expect(save(['busybox', 'busybox@rev:1'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
    });
    await expect(save(['nothing'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
  });

  it.each([
    ['is not there', '/no/such/key', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['is no key', '/etc/hostname', 'ERR_STACKSHIM_SPEC_INVALID'],
  ])('are not saved with a key that %s', async (_, path, code) => {
    await expect(save(['busybox'], { keyFile: path })).rejects.toMatchObject({ code });
  });

  it('are not saved with a key of another kind', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const path = `${lab.folder}/rsa.pem`;
    writeFileSync(path, rsa.export({ type: 'pkcs8', format: 'pem' }));
    await expect(save(['busybox'], { keyFile: path })).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
    });
  });
});

describe('trust', () => {
  const untrusted = { code: 'ERR_STACKSHIM_SAVE_UNTRUSTED', kind: 'denied' };

  it('is in no key unless the operator named it', async () => {
    rmSync(trustedKeysDir(receiver), { recursive: true });
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('is not in another key', async () => {
    const stranger = generateKeyPairSync('ed25519').publicKey;
    writeFileSync(`${trustedKeysDir(receiver)}/operator.pem`, pemOf(stranger));
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('is in no folder that others may write to', async () => {
    chmodSync(trustedKeysDir(receiver), 0o777);
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('ends with any change of the index', async () => {
    const { file } = await save(['busybox']);
    const at = file.indexOf('"busybox"') + 1;
    file.write('c', at);
    await expect(load(file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });
});

const damage: Record<string, (file: Buffer) => Buffer> = {
  'is empty': () => Buffer.alloc(0),
  'is something else': () => makeTar([{ path: 'etc/passwd', content: 'x' }]),
  'ends after its index': (file) => file.subarray(0, 4096),
  'has a layer that was changed': (file) => {
    const at = file.length - 2048;
    file[at] = (file[at] ?? 0) ^ 1;
    return file;
  },
  'has a layer that it does not tell of': (file) => {
    file.write('layers/f', file.lastIndexOf('layers/'), 'latin1');
    return file;
  },
  'goes on after its end': (file) => Buffer.concat([file, Buffer.from('more')]),
};

describe('a file that is not what it must be', () => {
  it.each(Object.entries(damage))('is refused when it %s', async (_, change) => {
    const { file } = await save(['busybox']);
    await expect(load(change(file))).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SAVE_INVALID' });
    expect(state()).toMatchObject({ current: undefined, tmp: [] });
  });
});

it('a layer that was damaged here is taken from the file, and missed where the file has it not', async () => {
  const { file } = await save(['busybox']);
  await load(file);
  const { image } = resolveStack(receiver, { name: toStack('busybox') });
  const [layer] = image.layers;
  if (layer === undefined) throw new Error('an image of one layer');
  damageLayer(receiver, layer);
  const partial = await save(['busybox'], { have: new Set(image.layers) });
  await expect(load(partial.file)).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_SAVE_INVALID',
    details: { missing: [layer] },
  });
  expect(await load(file)).toMatchObject({ stacks: [{ status: 'unchanged' }], layers: [layer] });
  expect((await verifyStore(receiver)).damage).toEqual([]);
  const result = await runTask(
    { stack: 'busybox', command: ['true'] },
    { root, run, policy: policyFile },
  );
  expect(result).toMatchObject({ verdict: 'succeeded' });
});
