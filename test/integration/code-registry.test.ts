/** Code packages and stacks between machines: pushed to a registry, pulled by their digests, refused if they are others. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Layout } from '../../src/core/layout.ts';
import { openStackshim, runTask } from '../../src/index.ts';
import { runCli } from '../support/cli/run-cli.ts';
import { type LoopbackRegistry, startRegistry } from '../support/images/loopback-registry.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { envOf, optionsOf } from '../support/installation/test-layout.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { makeSecondMachine } from '../support/stacks/second-machine.ts';

const lab = useExchangeLab();
const HTTP = { tlsVerify: false } as const;
const first = openStackshim(lab.installation.options);
let registry: LoopbackRegistry;
let second: Layout;

beforeAll(async () => {
  registry = await startRegistry(`${lab.folder}/registry`);
  // Tasks of the second machine pass through it.
  chmodSync(lab.folder, 0o711);
  mkdirSync(`${lab.folder}/second`);
  second = makeSecondMachine(`${lab.folder}/second`, lab.installation.layout).layout;
});
afterAll(async () => {
  await registry.close();
  disposeInstallation(second);
});

async function addCode(name: string, text: string) {
  const path = join(lab.folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'main'), text);
  return await first.code.add(name, path, {
    stack: 'busybox',
    command: ['sh', '-c', 'cat main made'],
    build: 'echo built > made; chown 1000:1000 made',
    env: { A: '1' },
  });
}

const at = (name: string, digest: string) => `docker://${registry.host}/${name}@${digest}`;

describe('a code package', () => {
  it('travels through a registry and keeps its digest; so does its stack', async () => {
    const { image } = await addCode('mailer', 'code\n');
    const pushed = await first.code.push(
      'mailer',
      `docker://${registry.host}/code/mailer:v1`,
      HTTP,
    );
    expect(pushed).toMatchObject({ image, revision: 1 });
    const stack = await first.stacks.push(
      'busybox',
      `docker://${registry.host}/stacks/busybox:v1`,
      HTTP,
    );
    const machine = openStackshim(optionsOf(second));
    const events: string[] = [];
    const onProgress = (event: { readonly kind: string; readonly step?: string }) => {
      if (event.kind === 'step' && event.step === 'fetch') events.push('fetch');
    };
    const options = { ...HTTP, tenant: 'a', onProgress };
    const many = await Promise.all(
      Array.from({ length: 8 }, () =>
        machine.code.pull('mailer', at('code/mailer', image), options),
      ),
    );
    expect(many.map((one) => [one.revision, one.image])).toEqual(many.map(() => [1, image]));
    expect(events).toEqual(['fetch']);
    const pulled = await machine.stacks.pull('busybox', at('stacks/busybox', stack.content), HTTP);
    expect(pulled).toMatchObject({ revision: 1, image: stack.content });
    const result = await runTask({ code: `mailer@${image}`, tenant: 'a' }, optionsOf(second));
    expect(result).toMatchObject({
      verdict: 'succeeded',
      image: stack.content,
      code: { name: 'mailer', revision: 1, image },
      output: { stdout: 'code\nbuilt\n' },
    });
    await expect(runTask({ code: 'mailer' }, optionsOf(second))).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_PACKAGE_NOT_FOUND',
    });
  });

  it('that is pulled leaves the current revision, and is found by its digest', async () => {
    const { image } = await addCode('other', 'one\n');
    const later = await addCode('other', 'two\n');
    const target = `docker://${registry.host}/code/other`;
    await first.code.push('other@rev:1', `${target}:v1`, HTTP);
    await first.code.push('other@rev:2', `${target}:v2`, HTTP);
    const machine = openStackshim(optionsOf(second));
    await machine.code.pull('other', at('code/other', later.image), HTTP);
    const earlier = await machine.code.pull('other', at('code/other', image), HTTP);
    expect(earlier).toMatchObject({ revision: 2, isNew: false });
    expect((await machine.code.resolve('other')).image.digest).toBe(later.image);
    expect((await machine.code.resolve(`other@${image}`)).revision).toBe(2);
    const again = await machine.code.pull('other', at('code/other', image), {
      ...HTTP,
      makeCurrent: true,
    });
    expect(again).toMatchObject({ revision: 3, isNew: true });
  });

  it('of another tenant is not to be had by its digest, whatever the machine has stored', async () => {
    const { image } = await addCode('secret', 'only for a\n');
    const options = { ...HTTP, tenant: 'b' };
    const pulled = first.code.pull('stolen', at('code/b/stolen', image), options);
    await expect(pulled).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
    const asStack = first.stacks.pull('busybox', at('stacks/none', image), HTTP);
    await expect(asStack).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
  });

  it('that several processes want at once is fetched for each tenant, and stored once', async () => {
    const { image } = await addCode('wanted', 'wanted\n');
    await first.code.push('wanted', `docker://${registry.host}/code/wanted:v1`, HTTP);
    const args = ['code', 'pull', 'wanted', at('code/wanted', image), '--tls-verify', 'false'];
    const pulls = ['a', 'b', 'c', 'd'].map((tenant) =>
      runCli([...args, '--tenant', tenant], { env: envOf(second) }),
    );
    const ended = await Promise.all(pulls);
    expect(ended.map(({ stdout }) => stdout)).toEqual(
      ended.map(() => `wanted@rev:1 ${image} added\n`),
    );
    expect(ended.filter(({ stderr }) => stderr.includes('fetch')).length).toBe(ended.length);
  });

  it('of another digest, or an image that is none, is refused and leaves nothing', async () => {
    const machine = openStackshim(optionsOf(second));
    const { image } = await addCode('honest', 'honest\n');
    const other = await addCode('forged', 'forged\n');
    const target = `docker://${registry.host}/code/forged`;
    // The registry tells the tag of another image.
    await first.code.push('forged', `${target}:sha256-${image.slice('sha256:'.length)}`, HTTP);
    const before = await machine.df();
    const refused = machine.code.pull('forged', at('code/forged', image), HTTP);
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_IMAGE_INVALID',
      details: { asked: image, got: other.image },
    });
    const stack = await first.stacks.push(
      'busybox',
      `docker://${registry.host}/stacks/fresh:v1`,
      HTTP,
    );
    const none = machine.code.pull('none', at('stacks/fresh', stack.content), HTTP);
    await expect(none).rejects.toMatchObject({ code: 'ERR_STACKSHIM_PACKAGE_INVALID' });
    const nothing = machine.code.pull('absent', at('code/absent', image), HTTP);
    await expect(nothing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
    const after = await machine.df();
    expect([after.layers, after.reclaimableBytes]).toEqual([
      before.layers,
      before.reclaimableBytes,
    ]);
  });
});
