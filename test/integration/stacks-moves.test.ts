/** Rollback, history, releases and removal of revisions on a real disk. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { StackName } from '../../src/core/ids.ts';
import {
  addRevision,
  removeAllRevisions,
  removeOldRevisions,
} from '../../src/store/stacks/change-revisions.ts';
import { flipStacks } from '../../src/store/stacks/flip-stacks.ts';
import { readCurrentGeneration } from '../../src/store/stacks/generations.ts';
import { showStack } from '../../src/store/stacks/list-stacks.ts';
import { applyRelease, rollbackRelease } from '../../src/store/stacks/release.ts';
import { rollbackStack } from '../../src/store/stacks/rollback.ts';
import { readReleases, readStackHistory } from '../../src/store/stacks/stack-history.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import { removeStacks } from '../../src/upkeep/remove-stacks.ts';
import { addSeeded, digestOf, NOW, stackName } from '../support/stacks/stack-store.ts';
import { useStackStore } from './support/use-stack-store.ts';

const store = useStackStore();
const python = stackName('python-3.13');
const ruby = stackName('ruby-3.3');
const NOT_FOUND = { code: 'ERR_STACKSHIM_STACK_NOT_FOUND' };

const flip = (stack: StackName, revision: number | null) =>
  flipStacks(store.layout, linuxSystem, {
    changes: new Map([[stack, revision]]),
    now: NOW,
    reason: 'test',
  });

/** Adds revisions of a stack and makes each current; the last one stays current. */
async function addCurrent(stack: StackName, ...seeds: readonly string[]): Promise<void> {
  for (const seed of seeds) {
    const { revision } = await addSeeded(store.layout, stack, seed);
    await flip(stack, revision);
  }
}

/** Adds the revision of a build that died before its smoke command passed. */
const addInterrupted = (stack: StackName, seed: string) =>
  addRevision(store.layout, linuxSystem, {
    stack,
    image: digestOf(seed),
    source: { kind: 'build', directory: '/x', inputHash: '0'.repeat(64) },
    now: NOW,
  });

const rollback = (stack: StackName, to?: number) =>
  rollbackStack(store.layout, linuxSystem, {
    stack,
    now: NOW,
    ...(to === undefined ? {} : { to }),
  });
const current = () => readCurrentGeneration(store.layout)?.stacks;
const apply = (release: readonly (readonly [string, number | string])[]) =>
  applyRelease(store.layout, linuxSystem, {
    release: new Map(release) as never,
    label: 'file',
    now: NOW,
  });
const undo = (to?: number) =>
  rollbackRelease(store.layout, linuxSystem, { now: NOW, ...(to === undefined ? {} : { to }) });

it('a release that changes nothing makes no generation, so undo returns to the state before it', async () => {
  await addCurrent(python, 'one', 'two');
  const applied = await apply([[python, 1]]);
  expect(await apply([[python, 1]])).toEqual({ generation: applied.generation, moves: [] });
  expect((await undo()).moves).toEqual([{ stack: python, from: 1, to: 2 }]);
});

describe('rollbackStack', () => {
  it('goes back one revision at a time, as far as the first', async () => {
    await addCurrent(python, 'one', 'two', 'three');
    await addCurrent(ruby, 'r');
    expect(await rollback(python)).toEqual({ stack: python, from: 3, to: 2 });
    expect(await rollback(python)).toEqual({ stack: python, from: 2, to: 1 });
    expect(current()).toEqual({ [python]: 1, [ruby]: 1 });
    await expect(rollback(python)).rejects.toMatchObject(NOT_FOUND);
    expect(current()).toEqual({ [python]: 1, [ruby]: 1 });
  });

  it('goes to any stored revision that was ever current, newer ones too', async () => {
    await addCurrent(python, 'one', 'two', 'three');
    expect(await rollback(python, 1)).toEqual({ stack: python, from: 3, to: 1 });
    expect(await rollback(python, 3)).toEqual({ stack: python, from: 1, to: 3 });
  });

  it('skips revisions that were removed', async () => {
    await addCurrent(python, 'one', 'two', 'three');
    rmSync(`${store.layout.root}/stacks/${python}/2.json`);
    expect(await rollback(python)).toEqual({ stack: python, from: 3, to: 1 });
  });

  it('never goes to the revision of an interrupted build, even if asked', async () => {
    await addCurrent(python, 'one');
    await addInterrupted(python, 'one');
    await addCurrent(python, 'three');
    await expect(rollback(python, 2)).rejects.toMatchObject(NOT_FOUND);
    await expect(apply([[python, 2]])).rejects.toMatchObject(NOT_FOUND);
    expect(await rollback(python)).toEqual({ stack: python, from: 3, to: 1 });
  });

  it.each([
    ['a stack that does not exist', ruby, undefined],
    ['a revision that does not exist', python, 9],
  ])('does not find %s', async (_, stack, to) => {
    await addCurrent(python, 'one', 'two');
    await expect(rollback(stack, to)).rejects.toMatchObject(NOT_FOUND);
    expect(current()).toEqual({ [python]: 2 });
  });
});

describe('readStackHistory', () => {
  it('lists revisions from the newest, with what each one is', async () => {
    await addCurrent(python, 'one', 'two');
    await addSeeded(store.layout, python, 'three');
    await rollback(python);
    const told = readStackHistory(store.layout, python);
    expect(told.map(({ revision, state }) => [revision, state])).toEqual([
      [3, 'unproven'],
      [2, 'earlier'],
      [1, 'current'],
    ]);
    expect(told[0]).toMatchObject({ currentSince: null, image: digestOf('three') });
    expect(told[2]).toMatchObject({ currentSince: NOW.toISOString() });
  });

  it('fails for a stack that does not exist', () => {
    expect(() => readStackHistory(store.layout, python)).toThrow(
      expect.objectContaining(NOT_FOUND),
    );
  });
});

describe('releases', () => {
  it('change a set of stacks in one generation, by number or digest, and nothing else', async () => {
    await addCurrent(python, 'one', 'two');
    await addCurrent(ruby, 'r1', 'r2');
    await addCurrent(stackName('node-20'), 'n1', 'n2');
    const result = await apply([
      [python, 1],
      [ruby, digestOf('r1')],
    ]);
    expect(result).toEqual({
      generation: 7,
      moves: [
        { stack: python, from: 2, to: 1 },
        { stack: ruby, from: 2, to: 1 },
      ],
    });
    expect(current()).toEqual({ [python]: 1, [ruby]: 1, 'node-20': 2 });
  });

  it.each([
    ['a revision', ruby, 9],
    ['a stack', 'nothing', 1],
    ['an image', ruby, digestOf('other')],
  ])('change nothing if %s does not exist', async (_, name, wanted) => {
    await addCurrent(python, 'one', 'two');
    await addCurrent(ruby, 'r');
    const before = readCurrentGeneration(store.layout);
    await expect(
      apply([
        [python, 1],
        [name, wanted],
      ]),
    ).rejects.toMatchObject(NOT_FOUND);
    expect(readCurrentGeneration(store.layout)).toEqual(before);
  });

  it('are undone as a set, in reverse order', async () => {
    await addCurrent(python, 'one', 'two', 'three');
    await addCurrent(ruby, 'r1', 'r2', 'r3');
    await apply([
      [python, 2],
      [ruby, 2],
    ]);
    await apply([
      [python, 1],
      [ruby, 1],
    ]);
    expect((await undo()).moves).toEqual([
      { stack: python, from: 1, to: 2 },
      { stack: ruby, from: 1, to: 2 },
    ]);
    expect((await undo()).moves).toHaveLength(2);
    expect(current()).toEqual({ [python]: 3, [ruby]: 3 });
  });

  it('are undone by number; newer stacks stay, removed ones stay away', async () => {
    await addCurrent(python, 'one', 'two');
    await addCurrent(ruby, 'r');
    const then = readCurrentGeneration(store.layout)?.number ?? 0;
    await flip(ruby, null);
    await addCurrent(stackName('node-20'), 'n');
    await rollback(python);
    expect(await undo(then)).toMatchObject({ moves: [{ stack: python, from: 1, to: 2 }] });
    expect(current()).toEqual({ [python]: 2, 'node-20': 1 });
  });

  it('are undone completely or not at all: every revision must still exist', async () => {
    await addCurrent(python, 'one', 'two');
    await addCurrent(ruby, 'r1', 'r2');
    await removeOldRevisions(store.layout, linuxSystem, { stack: ruby, keep: 1 });
    await expect(undo(3)).rejects.toMatchObject({
      ...NOT_FOUND,
      details: { generation: 3, missing: [`${ruby}@rev:1`] },
    });
    expect(current()).toEqual({ [python]: 2, [ruby]: 2 });
  });

  it('cannot be undone beyond the first generation', async () => {
    await addCurrent(python, 'one');
    await expect(undo()).rejects.toMatchObject(NOT_FOUND);
    await expect(undo(9)).rejects.toMatchObject(NOT_FOUND);
  });

  it('are listed from the newest, up to the given number', async () => {
    await addCurrent(python, 'one', 'two');
    await undo();
    expect(readReleases(store.layout, 2)).toEqual([
      {
        generation: 3,
        isCurrent: true,
        createdAt: NOW.toISOString(),
        reason: 'release rollback to generation 1',
        stacks: 1,
      },
      expect.objectContaining({ generation: 2, isCurrent: false }),
    ]);
  });
});

describe('removeOldRevisions', () => {
  it('keeps the newest revisions and the current one', async () => {
    await addCurrent(python, '1', '2', '3', '4', '5');
    const { layout } = store;
    expect(await removeOldRevisions(layout, linuxSystem, { stack: python, keep: 2 })).toEqual([
      1, 2, 3,
    ]);
    expect(showStack(layout, python).revisions).toEqual([4, 5]);
    await rollback(python);
    expect(await removeOldRevisions(layout, linuxSystem, { stack: python, keep: 1 })).toEqual([]);
    expect(showStack(layout, python).revisions).toEqual([4, 5]);
    expect(await removeOldRevisions(layout, linuxSystem, { stack: python, keep: 0 })).toEqual([]);
  });
});

describe('removeStacks', () => {
  const remove = (...names: readonly StackName[]) =>
    removeStacks(store.layout, linuxSystem, { names, now: NOW });

  it('removes stacks together with their revisions, and never uses a number again', async () => {
    await addCurrent(python, 'one', 'two');
    await addCurrent(ruby, 'r');
    expect(await remove(python)).toEqual([{ stack: python, revisions: [1, 2] }]);
    expect(current()).toEqual({ [ruby]: 1 });
    expect(readdirSync(`${store.layout.root}/stacks/${python}`)).toEqual(['removed.json']);
    expect(existsSync(`${store.layout.root}/images/${digestOf('one').slice(7)}.json`)).toBe(true);
    await expect(remove(python)).rejects.toMatchObject(NOT_FOUND);
    await addCurrent(python, 'three');
    expect(current()).toEqual({ [python]: 3, [ruby]: 1 });
  });

  it('completes a removal that a crash interrupted', async () => {
    await addCurrent(python, 'one');
    await flip(python, null);
    expect(await remove(python)).toEqual([{ stack: python, revisions: [1] }]);
  });

  it('removes none of them if one does not exist', async () => {
    await addCurrent(python, 'one');
    await expect(remove(python, ruby)).rejects.toMatchObject(NOT_FOUND);
    expect(current()).toEqual({ [python]: 1 });
  });
});

it('removeAllRevisions does not touch a current stack', async () => {
  await addCurrent(python, 'one');
  expect(await removeAllRevisions(store.layout, linuxSystem, python)).toEqual([]);
  expect(JSON.parse(readFileSync(`${store.layout.root}/stacks/${python}/1.json`, 'utf8'))).toEqual(
    expect.objectContaining({ revision: 1 }),
  );
});
