/** Names, revisions and generations on a real disk, by one process and by several. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { locksDir } from '../../src/core/layout.ts';
import { addRevision, removeRevision } from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { readCurrentGeneration, readGeneration } from '../../src/store/stacks/generations.ts';
import { listStacks, showStack } from '../../src/store/stacks/list-stacks.ts';
import { resolveStack } from '../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { takeFileLock } from '../../src/sys/lock.ts';
import { runFixture } from '../support/programs/bun-fixture.ts';
import { addSeeded, digestOf, imageOf, NOW, stackName } from '../support/stacks/stack-store.ts';
import { useStackStore } from './support/use-stack-store.ts';

const flipMany = new URL('../fixtures/flip-many.ts', import.meta.url);
const store = useStackStore();
const python = stackName('python-3.13');

const flip = (changes: readonly (readonly [string, number | null])[], lockWaitMs = 15_000) =>
  flipStacks(store.layout, linuxSystem, {
    changes: new Map(changes.map(([name, revision]) => [stackName(name), revision])),
    now: NOW,
    reason: 'test',
    lockWaitMs,
  });

const makeCurrent = async (name: string, seed: string) => {
  const { revision } = await addSeeded(store.layout, name, seed);
  await flip([[name, revision]]);
  return revision;
};

describe('resolveStack', () => {
  it('returns the current revision, and the next one after a flip', async () => {
    await makeCurrent('python-3.13', 'one');
    expect(resolveStack(store.layout, { name: python })).toEqual({
      stack: python,
      revision: 1,
      image: imageOf('one'),
    });
    await makeCurrent('python-3.13', 'two');
    expect(resolveStack(store.layout, { name: python })).toMatchObject({
      revision: 2,
      image: { digest: digestOf('two') },
    });
  });

  it('returns the same object while nothing has changed', async () => {
    await makeCurrent('python-3.13', 'one');
    const first = resolveStack(store.layout, { name: python });
    expect(resolveStack(store.layout, { name: python })).toBe(first);
  });

  it('returns any stored revision by number or image, current or not', async () => {
    await makeCurrent('python-3.13', 'one');
    await makeCurrent('python-3.13', 'two');
    await addSeeded(store.layout, 'python-3.13', 'three');
    const { layout } = store;
    expect(resolveStack(layout, { name: python, revision: 3 })).toMatchObject({
      revision: 3,
      image: { digest: digestOf('three') },
    });
    expect(resolveStack(layout, { name: python, image: digestOf('one') }).revision).toBe(1);
    expect(resolveStack(layout, { name: python }).revision).toBe(2);
  });

  it('prefers the current one if several revisions have the same image', async () => {
    for (const seed of ['same', 'same', 'same']) await addSeeded(store.layout, 'python-3.13', seed);
    await flip([['python-3.13', 2]]);
    const reference = { name: python, image: digestOf('same') };
    expect(resolveStack(store.layout, reference).revision).toBe(2);
  });

  it.each([
    ['a misspelt stack', { name: stackName('pyhton-3.13') }, { near: ['python-3.13'] }],
    ['an unknown stack', { name: stackName('zsh') }, { near: [] }],
    ['a name that every object has', { name: stackName('constructor') }, { near: [] }],
    ['a revision that does not exist', { name: python, revision: 9 }, { revisions: [1] }],
    [
      'a revision of an unknown stack',
      { name: stackName('pyhton-3.13'), revision: 1 },
      { near: ['python-3.13'] },
    ],
    ['an image without a revision', { name: python, image: digestOf('other') }, { stack: python }],
    ['an image of no stack', { name: stackName('zsh'), image: digestOf('one') }, { near: [] }],
    [
      'a revision with another image',
      { name: python, revision: 1, image: digestOf('other') },
      { revision: 1 },
    ],
  ])('does not find %s', async (_, reference, details) => {
    await makeCurrent('python-3.13', 'one');
    expect(() => resolveStack(store.layout, reference)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
        details: expect.objectContaining(details),
      }),
    );
  });

  it('finds nothing if no stack was ever built', () => {
    expect(() => resolveStack(store.layout, { name: python })).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' }),
    );
  });

  it('finds a stack named like a property of every object', async () => {
    await makeCurrent('constructor', 'one');
    const pinned = resolveStack(store.layout, { name: stackName('constructor') });
    expect(pinned.image.digest).toBe(digestOf('one'));
  });

  it('notices that the root folder was removed and created again', async () => {
    await makeCurrent('python-3.13', 'one');
    expect(resolveStack(store.layout, { name: python }).image.digest).toBe(digestOf('one'));
    rmSync(store.layout.root, { recursive: true });
    await makeCurrent('python-3.13', 'two');
    expect(readlinkSync(`${store.layout.root}/current`)).toBe('generations/1.json');
    expect(resolveStack(store.layout, { name: python }).image.digest).toBe(digestOf('two'));
  });
});

describe('addRevision', () => {
  it('counts from 1 and does not change what is current', async () => {
    await makeCurrent('python-3.13', 'one');
    expect((await addSeeded(store.layout, 'python-3.13', 'two')).revision).toBe(2);
    expect((await addSeeded(store.layout, 'ruby-3.3', 'two')).revision).toBe(1);
    expect(readCurrentGeneration(store.layout)?.stacks).toEqual({ 'python-3.13': 1 });
  });

  it('skips the number of a revision that was left unfinished', async () => {
    await makeCurrent('python-3.13', 'one');
    await writeFile(`${store.layout.root}/stacks/python-3.13/2.json`, '{"cut off');
    expect((await addSeeded(store.layout, 'python-3.13', 'two')).revision).toBe(3);
  });

  it('refuses an image that is not stored, and adds nothing', async () => {
    await makeCurrent('python-3.13', 'one');
    const adding = addRevision(store.layout, linuxSystem, {
      stack: python,
      image: digestOf('absent'),
      source: { kind: 'import', reference: 'absent' },
      now: NOW,
    });
    await expect(adding).rejects.toMatchObject({ code: 'ERR_STACKSHIM_IMAGE_CORRUPT' });
    expect(readdirSync(`${store.layout.root}/stacks/python-3.13`)).toEqual(['1.json']);
  });

  it('gives each of many concurrent callers its own number', async () => {
    const added = await Promise.all(
      Array.from({ length: 20 }, (_, index) => addSeeded(store.layout, 'python-3.13', `${index}`)),
    );
    const numbers = added.map(({ revision }) => revision).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(readdirSync(`${store.layout.root}/tmp`)).toEqual([]);
  });
});

describe('removeRevision', () => {
  it('removes a revision, but never the current one', async () => {
    await makeCurrent('python-3.13', 'one');
    const added = await addSeeded(store.layout, 'python-3.13', 'two');
    const { layout } = store;
    await expect(removeRevision(layout, linuxSystem, added)).resolves.toBe(true);
    const current = { stack: python, revision: 1 };
    await expect(removeRevision(layout, linuxSystem, current)).resolves.toBe(false);
    expect(readdirSync(`${layout.root}/stacks/python-3.13`)).toEqual(['1.json']);
  });
});

describe('flipStacks', () => {
  it('changes several stacks in one generation and keeps the others', async () => {
    for (const name of ['a', 'b', 'c']) await makeCurrent(name, name);
    for (const name of ['a', 'b']) await addSeeded(store.layout, name, `${name}2`);
    const before = readCurrentGeneration(store.layout)?.number ?? 0;
    const generation = await flip([
      ['a', 2],
      ['b', 2],
    ]);
    expect(generation).toEqual({
      number: before + 1,
      createdAt: NOW.toISOString(),
      previous: 3,
      reason: 'test',
      stacks: { a: 2, b: 2, c: 1 },
    });
    expect(readCurrentGeneration(store.layout)).toEqual(generation);
    expect(readGeneration(store.layout, before)?.stacks).toEqual({ a: 1, b: 1, c: 1 });
  });

  it('removes a stack, and refuses to remove one that does not exist', async () => {
    await makeCurrent('a', 'a');
    await makeCurrent('b', 'b');
    expect((await flip([['a', null]])).stacks).toEqual({ b: 1 });
    await expect(flip([['a', null]])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
    });
  });

  it('makes all of its changes or none', async () => {
    await makeCurrent('a', 'a');
    await addSeeded(store.layout, 'a', 'a2');
    const before = readCurrentGeneration(store.layout);
    await expect(
      flip([
        ['a', 2],
        ['b', 7],
      ]),
    ).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_NOT_FOUND',
      details: { stack: 'b', revision: 7 },
    });
    expect(readCurrentGeneration(store.layout)).toEqual(before);
  });

  it('never writes a number twice, even if it was left unfinished or rolled back', async () => {
    await makeCurrent('a', 'a');
    await writeFile(`${store.layout.root}/generations/5.json`, '{"cut off');
    expect((await flip([['a', 1]])).number).toBe(6);
    expect(readFileSync(`${store.layout.root}/generations/5.json`, 'utf8')).toBe('{"cut off');
  });

  it('leaves no temporary file, and makes files that only root can read', async () => {
    await makeCurrent('a', 'a');
    expect(readdirSync(`${store.layout.root}/tmp`)).toEqual([]);
    expect(readdirSync(`${store.layout.root}/generations`)).toEqual(['1.json']);
    expect(statSync(`${store.layout.root}/generations/1.json`).mode & 0o777).toBe(0o600);
  });

  it('gives up waiting for a lock of another process, without blocking the event loop', async () => {
    await makeCurrent('a', 'a');
    const lock = takeFileLock(linuxSystem, `${locksDir(store.layout)}/stacks`, { wait: false });
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    await expect(flip([['a', 1]], 60)).rejects.toMatchObject({ code: 'ERR_STACKSHIM_STACK_BUSY' });
    clearInterval(counting);
    lock?.release();
    expect(turns).toBeGreaterThan(1);
    expect((await flip([['a', 1]], 60)).stacks).toEqual({ a: 1 });
  });

  it('loses no change of several processes, and readers see complete generations', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const last = 60;
    const { layout } = store;
    for (const name of names) {
      for (let revision = 1; revision <= last; revision += 1) {
        await addSeeded(layout, name, `${name}-${revision}`);
      }
      await flip([[name, 1]]);
    }
    let running = true;
    const flipping = Promise.all(
      names.map((name) => runFixture(flipMany, [layout.root, name, `${last}`])),
    ).finally(() => {
      running = false;
    });
    const seen = new Map(names.map((name) => [name, 0]));
    let resolved = 0;
    while (running) {
      for (const name of names) {
        const pinned = resolveStack(layout, { name: stackName(name) });
        expect(pinned.image.digest).toBe(digestOf(`${name}-${pinned.revision}`));
        expect(pinned.revision).toBeGreaterThanOrEqual(seen.get(name) ?? 0);
        seen.set(name, pinned.revision);
        resolved += 1;
      }
      await new Promise(setImmediate);
    }
    await flipping;
    const generation = readCurrentGeneration(layout);
    expect(generation?.stacks).toEqual({ a: last, b: last, c: last, d: last });
    expect(generation?.number).toBe(names.length + names.length * last);
    expect(resolved).toBeGreaterThan(last);
  });
});

describe('a damaged file', () => {
  const paths = {
    generation: () => `${store.layout.root}/generations/1.json`,
    revision: () => `${store.layout.root}/stacks/python-3.13/1.json`,
    image: () => `${store.layout.root}/images/${digestOf('one').slice(7)}.json`,
  };
  const link = () => `${store.layout.root}/current`;
  const codeOf = (which: keyof typeof paths) =>
    `ERR_STACKSHIM_${which === 'image' ? 'IMAGE' : 'STACK'}_CORRUPT`;
  const damages: Record<string, (path: string) => void> = {
    'is missing': (path) => rmSync(path),
    'is empty': (path) => execFileSync('truncate', ['-s', '0', path]),
    'is cut off': (path) => execFileSync('truncate', ['-s', '-5', path]),
    'is of a later version': (path) =>
      execFileSync('sed', ['-i', 's/"version": 1/"version": 2/', path]),
    'has an extra field': (path) =>
      execFileSync('sed', ['-i', 's/"version": 1/"version": 1, "x": 1/', path]),
    'describes another': (path) =>
      execFileSync('sed', [
        '-i',
        '-E',
        's/("number"|"revision"): 1/\\1: 2/; s/"digest": "sha256:./"digest": "sha256:0/',
        path,
      ]),
    'names a path': (path) =>
      execFileSync('sed', ['-i', '-E', 's#"(python-3.13|sha256:[0-9a-f]*)"#"../../../etc"#', path]),
    'is huge': (path) => execFileSync('truncate', ['-s', '1G', path]),
    'is a link to another': (path) =>
      execFileSync('sh', ['-c', 'mv "$0" "$0.real" && ln -s "$0.real" "$0"', path]),
    'is a FIFO': (path) => execFileSync('sh', ['-c', 'rm "$0" && mkfifo "$0"', path]),
    'is a folder': (path) => execFileSync('sh', ['-c', 'rm "$0" && mkdir "$0"', path]),
  };
  const cases = (['generation', 'revision', 'image'] as const).flatMap((which) =>
    Object.keys(damages).map((damage) => ({ which, damage })),
  );

  it.each(cases)('$which that $damage is refused', async ({ which, damage }) => {
    await makeCurrent('python-3.13', 'one');
    damages[damage]?.(paths[which]());
    const path = paths[which]();
    const newer = { code: 'ERR_STACKSHIM_FORMAT_NEWER', details: { path, version: 2, newest: 1 } };
    const corrupt = { code: codeOf(which), details: { path } };
    const resolve = () => resolveStack(store.layout, { name: python });
    const refusal = expect.objectContaining(damage === 'is of a later version' ? newer : corrupt);
    expect(resolve).toThrow(refusal);
    expect(() => listStacks(store.layout)).toThrow(
      expect.objectContaining({ kind: expect.any(String) }),
    );
  });

  it.each([
    '/etc/passwd',
    '../generations/1.json',
    'generations/1.json/..',
    'generations/01.json',
    'x',
  ])('a link “current” to %s is refused', async (target) => {
    await makeCurrent('python-3.13', 'one');
    execFileSync('ln', ['-sfn', target, link()]);
    expect(() => resolveStack(store.layout, { name: python })).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_STACK_CORRUPT',
        details: { path: link() },
      }),
    );
    await expect(flip([['python-3.13', 1]])).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_STACK_CORRUPT',
    });
    expect(readlinkSync(link())).toBe(target);
  });

  it('of one stack does not affect the others', async () => {
    await makeCurrent('python-3.13', 'one');
    await makeCurrent('ruby-3.3', 'two');
    rmSync(paths.revision());
    const ruby = stackName('ruby-3.3');
    expect(resolveStack(store.layout, { name: ruby }).image.digest).toBe(digestOf('two'));
    expect(showStack(store.layout, ruby).image).toBe(digestOf('two'));
    expect((await flip([['ruby-3.3', 1]])).stacks).toEqual({ 'python-3.13': 1, 'ruby-3.3': 1 });
  });
});

describe('listStacks and showStack', () => {
  it('report no stack if none was built', () => {
    expect(listStacks(store.layout)).toEqual([]);
    expect(() => showStack(store.layout, python)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_STACK_NOT_FOUND' }),
    );
  });

  it('show what is stored, and report a missing layer', async () => {
    await makeCurrent('python-3.13', 'one');
    await addSeeded(store.layout, 'python-3.13', 'two');
    await makeCurrent('ruby-3.3', 'one');
    expect(listStacks(store.layout)).toEqual([
      {
        name: 'python-3.13',
        revision: 1,
        image: digestOf('one'),
        description: null,
        createdAt: NOW.toISOString(),
        base: null,
        behind: null,
        content: null,
        eol: null,
        ownBytes: 0,
        sharedBytes: 0,
      },
      expect.objectContaining({ name: 'ruby-3.3', revision: 1 }),
    ]);
    expect(showStack(store.layout, python)).toMatchObject({
      revisions: [1, 2],
      source: { kind: 'import', reference: 'one' },
      layers: [{ sizeBytes: null, shared: true }],
    });
  });
});
