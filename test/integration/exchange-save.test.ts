/** Saving and loading stacks as they are stored: signed, verified, resumed, and only what the receiver lacks. */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { trustedKeysDir } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { listHeldLayers, loadStacks } from '../../src/exchange/saves/load-stacks.ts';
import { type SaveStacksOptions, saveStacks } from '../../src/exchange/saves/save-stacks.ts';
import { readCurrentTarget } from '../../src/store/stacks/generations.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { verifyStore } from '../../src/upkeep/verify-store.ts';
import { writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { layoutBelow } from '../support/installation/test-layout.ts';
import { writePolicy } from '../support/installation/write-policy.ts';
import { toStack, useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { damageLayer } from './support/damage-layer.ts';

const lab = useExchangeLab();
const keys = generateKeyPairSync('ed25519');
const keyFile = `${lab.folder}/key.pem`;
const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' });

/** The machine that loads. */
const other = `${lab.folder}/other`;
const receiver = layoutBelow(other);
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

/** The stacks of the loading machine. */
const state = () => ({
  current: readCurrentTarget(receiver),
  layers: existsSync(`${root}/layers`) ? readdirSync(`${root}/layers`) : [],
  tmp: existsSync(`${root}/tmp`) ? readdirSync(`${root}/tmp`) : [],
});
const NOTHING = { current: undefined, layers: [], tmp: [] };

describe('saved stacks', () => {
  it('are loaded all at once, as they were stored', async () => {
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

  it('are loaded only once', async () => {
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

  it('leave out what the receiver already has', async () => {
    await load((await save(['busybox'])).file);
    const have = new Set<string>(listHeldLayers(receiver));
    const { saved, file } = await save(['second'], { have });
    expect(saved.leftOut).toEqual(lab.layersOf('busybox'));
    expect((await load(file)).layers).toEqual(lab.layersOf('second').slice(1));
  });

  it('are refused if they lack a layer that the receiver does not have', async () => {
    const have = new Set<string>(lab.layersOf('busybox'));
    const { file } = await save(['second'], { have });
    await expect(load(file)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
      details: { missing: lab.layersOf('busybox') },
    });
    expect(state().current).toBeUndefined();
  });

  it('continue after an interruption where they stopped', async () => {
    const { file } = await save(['second']);
    const [lower = '', upper = ''] = lab.layersOf('second');
    await expect(load(file.subarray(0, -4000))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SAVE_INVALID',
    });
    expect(state()).toMatchObject({ current: undefined, tmp: [] });
    expect(listHeldLayers(receiver)).toEqual([lower]);
    expect((await load(file)).layers).toEqual([upper]);
  });

  it('cannot name a stack twice, or a stack that does not exist', async () => {
    await expect(save(['busybox', 'busybox@rev:1'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SPEC_INVALID',
    });
    await expect(save(['nothing'])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
  });

  it.each([
    ['does not exist', '/no/such/key', 'ERR_STACKSHIM_INPUT_NOT_FOUND'],
    ['is not a key', '/etc/hostname', 'ERR_STACKSHIM_SPEC_INVALID'],
  ])('cannot be signed with a key that %s', async (_, path, code) => {
    await expect(save(['busybox'], { keyFile: path })).rejects.toMatchObject({ code });
  });

  it('cannot be signed with a key of another kind', async () => {
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

  it('is given only to keys that the operator named', async () => {
    rmSync(trustedKeysDir(receiver), { recursive: true });
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('is not given to another key', async () => {
    const stranger = generateKeyPairSync('ed25519').publicKey;
    writeFileSync(`${trustedKeysDir(receiver)}/operator.pem`, pemOf(stranger));
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('is not given to a folder that other users may write to', async () => {
    chmodSync(trustedKeysDir(receiver), 0o777);
    await expect(load((await save(['busybox'])).file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });

  it('is lost with any change of the index', async () => {
    const { file } = await save(['busybox']);
    const at = file.indexOf('"busybox"') + 1;
    file.write('c', at);
    await expect(load(file)).rejects.toMatchObject(untrusted);
    expect(state()).toEqual(NOTHING);
  });
});

const damage: Record<string, (file: Buffer) => Buffer> = {
  'is empty': () => Buffer.alloc(0),
  'is another kind of file': () => makeTar([{ path: 'etc/passwd', content: 'x' }]),
  'ends after its index': (file) => file.subarray(0, 4096),
  'has a changed layer': (file) => {
    const at = file.length - 2048;
    file[at] = (file[at] ?? 0) ^ 1;
    return file;
  },
  'has a layer that the index does not list': (file) => {
    file.write('layers/f', file.lastIndexOf('layers/'), 'latin1');
    return file;
  },
  'continues after its end': (file) => Buffer.concat([file, Buffer.from('more')]),
};

describe('an invalid file', () => {
  it.each(Object.entries(damage))('is refused if it %s', async (_, change) => {
    const { file } = await save(['busybox']);
    await expect(load(change(file))).rejects.toMatchObject({ code: 'ERR_STACKSHIM_SAVE_INVALID' });
    expect(state()).toMatchObject({ current: undefined, tmp: [] });
  });
});

it('a damaged layer is replaced from the file, and reported if the file does not contain it', async () => {
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
