/**
 * A store that an earlier version wrote: used unchanged, migrated, and used by that version again. Requires x86-64, for the programs in it.
 * test/fixtures/stores/version-0.1.tar.gz is the root folder of stackshim 0.1, before images were named by their content: `base`, `tool` (two
 * revisions, rolled back to the first) and `docker` were imported, `docker` from a docker archive; `loaded` was imported, saved, removed and
 * loaded; `gone` was removed. Each image's `/bin/true` is a program of 160 bytes.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { envOf, layoutBelow, makeInstallationFolder } from '../support/installation/test-layout.ts';
import { writePolicy } from '../support/installation/write-policy.ts';

const folder = makeInstallationFolder('older');
const layout = layoutBelow(folder);
const env = envOf(layout);
const cli = (...args: readonly string[]) => runCli(args, { env });

async function json(...args: readonly string[]) {
  const { stdout } = await cli(...args, '--json');
  return JSON.parse(stdout);
}

const archive = new URL('../fixtures/stores/version-0.1.tar.gz', import.meta.url).pathname;

/** The content of stored files by path. */
function readStore(): ReadonlyMap<string, string> {
  const paths = readdirSync(layout.root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => /\/lib\/(?:layers|images|stacks|generations)\//.test(path));
  return new Map(paths.map((path) => [path, readFileSync(path, 'latin1')]));
}

let original: ReadonlyMap<string, string>;

beforeAll(() => {
  chmodSync(folder, 0o711);
  for (const path of [layout.root, layout.run]) mkdirSync(path);
  execFileSync('tar', ['-xzf', archive, '-C', layout.root, '--same-permissions']);
  writePolicy(layout);
  linkPatchedRunc(layout);
  original = readStore();
});
afterAll(() => {
  disposeInstallation(layout);
  rmSync(folder, { recursive: true });
});

const ONE = 'sha256:d8aa01fa523f7346a30239e2382a720929f1d022d4f256454db9c3648d1d65ab';
/** The same image, by docker's digest. */
const OF_DOCKER = 'sha256:b6e2700d020fe6901e997b1cd31b026f2b9d5afc81f925b81ed6f5417ee09955';

const formatsOf = async () => {
  const { checks } = await json('doctor');
  return checks.find(({ name }: { readonly name: string }) => name === 'stored formats');
};

it('can be listed, verified and used unchanged', async () => {
  const stacks = await json('stack', 'ls');
  expect(stacks.map(({ name, revision }: Record<string, unknown>) => [name, revision])).toEqual([
    ['base', 1],
    ['docker', 1],
    ['loaded', 2],
    ['tool', 1],
  ]);
  for (const stack of ['base', 'docker', 'loaded', 'tool@rev:2', `tool@${ONE}`]) {
    expect(await cli('run', stack, 'true')).toMatchObject({ status: 0, stderr: '' });
  }
  expect(await json('verify')).toMatchObject({ images: 4, revisions: 5, damage: [] });
  expect(readStore()).toEqual(original);
});

it('is checked by doctor and migrated by one command', async () => {
  expect(await formatsOf()).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('(stackshim migrate finds it)'),
  });
  const planned = await json('migrate', '--dry-run');
  expect(planned.images).toHaveLength(4);
  expect(readStore()).toEqual(original);
  const { status, stdout } = await cli('migrate');
  expect(status).toBe(0);
  expect(stdout.trim().split('\n').sort()).toEqual(
    planned.images.map((digest: string) => `${digest}: named by its content`).sort(),
  );
  expect(await json('migrate')).toEqual({ dryRun: false, images: [], damaged: [] });
  expect(await formatsOf()).toMatchObject({ status: 'ok' });
  expect(await json('verify')).toMatchObject({ images: 4, damage: [] });
});

it('has one digest for equal content after the migration, whichever way the content came', async () => {
  const tool = await json('stack', 'show', 'tool');
  const docker = await json('stack', 'show', 'docker');
  expect([tool.image, docker.image]).toEqual([ONE, OF_DOCKER]);
  expect(docker.content).toBe(tool.content);
  for (const stack of ['tool', 'docker']) {
    expect(await cli('run', `${stack}@${tool.content}`, 'true')).toMatchObject({ status: 0 });
  }
  const { stdout } = await cli('stack', 'export', 'docker', `${folder}/docker.tar`);
  expect(stdout).toContain(tool.content);
});

it('keeps its files unchanged when it is written to, so that the earlier version can go on using it', async () => {
  expect(await cli('stack', 'rollback', 'tool', '--to', '2')).toMatchObject({ status: 0 });
  expect((await json('stack', 'show', 'tool')).revision).toBe(2);
  expect(await cli('gc')).toMatchObject({ status: 0 });
  const now = readStore();
  for (const [path, text] of original) {
    // Generations that no rollback can reach are collected.
    if (!path.includes('/generations/')) expect([path, now.get(path)]).toEqual([path, text]);
  }
  const added = [...now.keys()].filter((path) => !original.has(path));
  expect(
    added.filter((path) => !/\.(?:names|packed)$|\/generations\/\d+\.json$/.test(path)),
  ).toEqual([]);
});

it('loses the other names of an image with the image, and those that an earlier version left', async () => {
  expect(await cli('stack', 'rm', 'loaded')).toMatchObject({ status: 0 });
  const hex = 'f'.repeat(64);
  for (const stray of [`images/${hex}.names`, `layers/${hex}.packed`]) {
    writeFileSync(`${layout.root}/${stray}`, '{}', { mode: 0o600 });
  }
  expect(await cli('gc')).toMatchObject({ status: 0 });
  const names = (kind: string) =>
    readdirSync(`${layout.root}/images`).filter((name) => name.endsWith(kind));
  expect(names('.names').length).toBe(names('.json').length);
  expect(readdirSync(`${layout.root}/layers`)).not.toContain(`${hex}.packed`);
});

it('of a newer version is refused by name and not migrated', async () => {
  const file = `${layout.root}/images/${ONE.slice(7)}.json`;
  const text = readFileSync(file, 'utf8');
  const newer = { ...JSON.parse(text), version: 9, writtenBy: '7.6.5' };
  writeFileSync(file, JSON.stringify(newer));
  const refused = '[ERR_STACKSHIM_FORMAT_NEWER]';
  for (const args of [['migrate'], ['run', 'tool@rev:1', 'true']]) {
    const { status, stderr } = await cli(...args);
    expect(status).not.toBe(0);
    expect(stderr).toContain(refused);
    expect(stderr).toContain('version 9, written by stackshim 7.6.5');
  }
  expect(await formatsOf()).toMatchObject({ status: 'fail', required: true });
  expect((await cli('gc')).status).toBe(1);
  writeFileSync(file, text);
  expect(await json('verify')).toMatchObject({ damage: [] });
});
