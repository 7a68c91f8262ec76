/** An image has one digest of its content, however it came: built, pulled, loaded from a docker archive, saved and loaded, exported and imported. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packLayer } from '../../src/archive/pack-layer.ts';
import type { ImageDigest } from '../../src/core/ids.ts';
import type { Layout } from '../../src/core/layout.ts';
import { runTask } from '../../src/door/open-stackshim.ts';
import { pushStack } from '../../src/exchange/push-stack.ts';
import { showStack } from '../../src/store/stacks/list-stacks.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { migrateStore } from '../../src/upkeep/migrate-store.ts';
import { type LoopbackRegistry, startRegistry } from '../support/images/loopback-registry.ts';
import { INDEX_TYPE, sha256, writeSmallOciLayout } from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { toStack, useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { makeSecondMachine, type SecondMachine } from '../support/stacks/second-machine.ts';

const lab = useExchangeLab();
const { layout } = lab.installation;
const HTTP = { tlsVerify: false } as const;
const machineFolder = mkdtempSync('/var/tmp/stackshim-other-');
let other: SecondMachine;
let registry: LoopbackRegistry;

beforeAll(async () => {
  other = makeSecondMachine(machineFolder, layout);
  registry = await startRegistry(`${lab.folder}/registry`);
});
afterAll(async () => {
  await registry.close();
  disposeInstallation(other.layout);
  rmSync(machineFolder, { recursive: true });
});

const skopeo = (...args: string[]) =>
  execFileSync('skopeo', ['--insecure-policy', ...args], { encoding: 'utf8', stdio: 'pipe' });
const push = (stack: string, reference: string) =>
  pushStack(layout, { system: linuxSystem, stack, reference, ...HTTP });
/** Imports, and waits for the digest of the content, which an import computes later. */
async function show(name: string, on: Layout = layout) {
  await migrateStore(on, { system: linuxSystem });
  return showStack(on, toStack(name));
}
const digestOf = (text: string) => `sha256:${sha256(text).replace('sha256:', '')}` as ImageDigest;

/** Expects that every digest names the stack's image, for `show` and for a task. */
async function expectFound(
  stack: string,
  digests: readonly ImageDigest[],
  { root, run, policyFile }: Layout = layout,
): Promise<void> {
  for (const digest of new Set(digests)) {
    const task = { stack: `${stack}@${digest}`, command: ['true'] };
    expect(await runTask(task, { root, run, policy: policyFile })).toMatchObject({
      verdict: 'succeeded',
    });
  }
}

describe('the digest of an image', () => {
  const content = async () => (await show('busybox')).content as ImageDigest;

  it('stays the same when the image is exported and imported', async () => {
    const exported = await lab.export('busybox', 'busybox.tar');
    expect(await content()).toBe(exported.digest);
    const imported = await lab.import('imported', `oci-archive:${lab.folder}/busybox.tar`);
    expect(imported.image).toBe(exported.digest);
    expect((await show('imported')).content).toBe(exported.digest);
    await expectFound('imported', [exported.digest]);
    await expectFound('busybox', [exported.digest]);
  });

  it('stays the same in a docker archive; the digest of its config is another name', async () => {
    const archive = `${lab.folder}/docker.tar`;
    skopeo(
      'copy',
      `oci-archive:${lab.folder}/busybox.tar`,
      `docker-archive:${archive}:some/name:v1`,
    );
    const imported = await lab.import('docker', `docker-archive:${archive}`);
    const shown = await show('docker');
    expect(imported.image).not.toBe(await content());
    expect(shown).toMatchObject({ image: imported.image, content: await content() });
    await expectFound('docker', [imported.image, await content()]);
    // The exported image's digest finds it as well.
    await expectFound('busybox', [imported.image]);
  });

  it('stays the same in a registry; the registry’s digest is another name on both sides', async () => {
    const reference = `docker://${registry.host}/team/busybox:v1`;
    const pushed = await push('busybox', reference);
    const pulled = await lab.import('pulled', reference, HTTP);
    expect(pulled.image).toBe(pushed.digest);
    expect((await show('pulled')).content).toBe(await content());
    for (const stack of ['busybox', 'pulled']) {
      await expectFound(stack, [pushed.digest, await content()]);
    }
  });

  it('stays the same in an index of several platforms; the index’s digest is another name', async () => {
    const directory = `${lab.folder}/platforms`;
    skopeo('copy', `oci-archive:${lab.folder}/busybox.tar`, `oci:${directory}:x`);
    const { manifests } = JSON.parse(readFileSync(`${directory}/index.json`, 'utf8'));
    const { architecture } = await show('busybox');
    const inner = JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...manifests[0], platform: { os: 'linux', architecture } }],
    });
    const index = { digest: digestOf(inner), size: inner.length };
    writeFileSync(`${directory}/blobs/${index.digest.replace(':', '/')}`, inner);
    writeFileSync(
      `${directory}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: INDEX_TYPE, ...index }] }),
    );
    const imported = await lab.import('platforms', `oci:${directory}`);
    await expectFound('platforms', [index.digest, imported.image, await content()]);
  });

  it('stays the same for a manifest of docker', async () => {
    const name = `${registry.host}/team/schema2`;
    skopeo(
      ...['copy', '--format', 'v2s2', '--dest-tls-verify=false'],
      ...[`oci-archive:${lab.folder}/busybox.tar`, `docker://${name}:v1`],
    );
    const raw = skopeo('inspect', '--tls-verify=false', '--raw', `docker://${name}:v1`);
    expect(JSON.parse(raw).mediaType).toContain('docker');
    const manifest = digestOf(raw);
    const pulled = await lab.import('schema2', `docker://${name}@${manifest}`, HTTP);
    expect((await show('schema2')).content).toBe(await content());
    const config = JSON.parse(raw).config.digest as ImageDigest;
    await expectFound('schema2', [pulled.image, manifest, config, await content()]);
  });

  it('stays the same on another machine that loads or pulls the image', async () => {
    const file = await other.save(['pulled', 'busybox']);
    await other.load(file);
    const { image } = await show('pulled');
    expect(await show('pulled', other.layout)).toMatchObject({ image, content: await content() });
    await expectFound('pulled', [image, await content()], other.layout);
    await expectFound('busybox', [await content()], other.layout);
  });

  it('takes precedence over another name, and finds no image of another stack', async () => {
    const directory = `${lab.folder}/own`;
    mkdirSync(directory);
    await writeSmallOciLayout(directory, { layers: [makeTar([{ path: 'a', content: 'a' }])] });
    const imported = await lab
      .import('busybox', `oci:${directory}`, { smoke: '["true"]' })
      .catch((error) => error);
    expect(imported).toMatchObject({ code: 'ERR_STACKSHIM_SMOKE_FAILED' });
    const strange = { stack: `pulled@sha256:${'0'.repeat(64)}`, command: ['true'] };
    await expect(runTask(strange, lab.installation.options)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
  });
});

it('the packed form of a layer never changes: every image would get another digest', async () => {
  const folder = `${lab.folder}/packed`;
  mkdirSync(`${folder}/folder`, { recursive: true });
  execFileSync(
    'sh',
    [
      '-ec',
      'echo text > folder/file; ln folder/file same; ln -s folder/file link; chmod 4755 folder/file; chmod 755 . folder; find . -exec touch -h -d @1600000000 {} +',
    ],
    { cwd: folder },
  );
  const pieces: Buffer[] = [];
  for await (const piece of packLayer(folder)) pieces.push(piece);
  expect(sha256(Buffer.concat(pieces))).toBe(
    'sha256:a9442d930ccb261f82a573c3df042e13832c90076acf3b779dc3cfe52169912f',
  );
});
