/** Which revisions and generations a collection removes, and how the name of a temporary file identifies its owner. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StackshimError } from '../../src/core/errors.ts';
import { isPackageName, isTenantName } from '../../src/core/ids.ts';
import type { PackageOwner } from '../../src/store/packages/package.ts';
import type { PackageSurvey } from '../../src/store/packages/survey-packages.ts';
import type { Generation } from '../../src/store/stacks/generations.ts';
import type { Damage, StoreSurvey } from '../../src/store/survey-store.ts';
import { isStaleName, ownerOfName, toOwnedName } from '../../src/sys/files.ts';
import { ownIdentity } from '../../src/sys/processes.ts';
import { chooseGenerations } from '../../src/upkeep/choose-generations.ts';
import { choosePackageRevisions, chooseRevisions } from '../../src/upkeep/choose-revisions.ts';
import { digestOf, NOW, stackName } from '../support/stacks/stack-store.ts';

const NAME = stackName('python-3.13');

interface Given {
  readonly numbers: readonly number[];
  readonly current?: number;
  readonly newestNamed?: number;
  readonly damage?: readonly Damage[];
}

/** A store with one stack; each revision has its own image. */
function surveyOf({ numbers, current, newestNamed, damage = [] }: Given): StoreSurvey {
  const generation =
    current === undefined
      ? undefined
      : { number: 7, createdAt: NOW.toISOString(), reason: '', stacks: { [NAME]: current } };
  return {
    generation,
    generations: generation === undefined ? 0 : 1,
    history: generation === undefined ? [] : [generation],
    newestNamed: new Map(newestNamed === undefined ? [] : [[NAME, newestNamed]]),
    revisions: numbers.map((revision) => ({
      stack: NAME,
      revision,
      image: digestOf(String(revision)),
      createdAt: NOW.toISOString(),
      source: { kind: 'import', reference: '' },
    })),
    packages: { revisions: [], unfinished: [], damage: [] },
    images: new Map(),
    imageUsers: new Map(),
    layerUsers: new Map(),
    damage,
  };
}

function choose(given: Given, keep?: number, used: readonly number[] = []): readonly number[] {
  const inUse = new Set(used.map((number) => digestOf(String(number))));
  const isInUse = (image: ReturnType<typeof digestOf>) => inUse.has(image);
  return chooseRevisions(surveyOf(given), { keep, isInUse }).map(({ revision }) => revision);
}

describe('chooseRevisions', () => {
  const five = { numbers: [1, 2, 3, 4, 5], current: 4, newestNamed: 5 };

  it('chooses no revision that was ever current, unless a number to keep is given', () => {
    expect(choose(five)).toEqual([]);
    expect(choose(five, 0)).toEqual([1, 2, 3]);
    expect(choose(five, 3)).toEqual([1, 2]);
    expect(choose(five, 9)).toEqual([]);
  });

  it('chooses revisions that were never current', () => {
    expect(choose({ ...five, newestNamed: 4 })).toEqual([5]);
    expect(choose({ numbers: [1, 2] })).toEqual([1, 2]);
  });

  it('keeps revisions that are in use', () => {
    expect(choose(five, 0, [2])).toEqual([1, 3]);
    expect(choose({ ...five, newestNamed: 4 }, 0, [5])).toEqual([1, 2, 3]);
  });

  it('keeps everything if use cannot be determined', () => {
    const error = new StackshimError('ERR_STACKSHIM_STACK_CORRUPT', 'read');
    for (const kind of ['generation', 'current', 'revision'] as const) {
      const damage = [{ kind, path: '/x', error, hits: [] }];
      expect(choose({ ...five, damage }, 0)).toEqual([]);
    }
    const lost = { ...surveyOf({ numbers: [1], newestNamed: 1 }), generations: 3 };
    expect(chooseRevisions(lost, { keep: 0, isInUse: () => false })).toEqual([]);
  });

  it('never chooses the current revision or one of the newest', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1 });
    fc.assert(
      fc.property(numbers, fc.nat(), fc.nat(10), (unsorted, pick, keep) => {
        const sorted = unsorted.toSorted((a, b) => a - b);
        const current = sorted[pick % sorted.length] ?? 1;
        const taken = choose({ numbers: unsorted, current, newestNamed: 30 }, keep);
        expect(taken).not.toContain(current);
        expect(taken.filter((number) => number > current)).toEqual([]);
        const newest = keep === 0 ? [] : sorted.slice(-keep);
        expect(taken.filter((number) => newest.includes(number))).toEqual([]);
        expect(taken.length).toBe(
          sorted.filter((number) => number < current && !newest.includes(number)).length,
        );
      }),
    );
  });
});

interface GivenPackages {
  readonly numbers: readonly number[];
  /** Absent: adding or removing the package was interrupted. */
  readonly current?: number;
  readonly isDamaged?: boolean;
}

function ownerOf(tenant: string): PackageOwner {
  const name = 'mailer';
  if (!isPackageName(name) || !isTenantName(tenant)) throw new Error('not a name');
  return { name, tenant };
}

/** A store with the same package of two tenants; only that of `a` is asked about. */
function choosePackages(
  { numbers, current, isDamaged = false }: GivenPackages,
  keep?: number,
  used: readonly number[] = [],
): readonly number[] {
  const [own, other] = [ownerOf('a'), ownerOf('b')];
  const toRevision = (of: PackageOwner, revision: number, isCurrent: boolean) => ({
    ...of,
    revision,
    current: isCurrent,
    image: digestOf(`${of.tenant} ${revision}`),
    createdAt: NOW.toISOString(),
    source: { kind: 'pull', reference: '' } as const,
  });
  const error = new StackshimError('ERR_STACKSHIM_PACKAGE_CORRUPT', 'damaged');
  const packages: PackageSurvey = {
    revisions: [
      ...numbers.map((number) => toRevision(own, number, number === current)),
      toRevision(other, 1, true),
    ],
    unfinished: current === undefined ? [own] : [],
    damage: isDamaged ? [{ ...own, path: '', error, revision: 9, current: false }] : [],
  };
  const inUse = new Set(used.map((number) => digestOf(`a ${number}`)));
  const chosen = choosePackageRevisions(
    { ...surveyOf({ numbers: [] }), packages },
    { keep, isInUse: (image) => inUse.has(image) },
  );
  expect(chosen.filter(({ tenant }) => tenant !== 'a')).toEqual([]);
  return chosen.map(({ revision }) => revision);
}

describe('choosePackageRevisions', () => {
  const five = { numbers: [1, 2, 3, 4, 5], current: 2 };

  it('chooses what is neither current nor among the newest, if a number to keep is given', () => {
    expect(choosePackages(five)).toEqual([]);
    expect(choosePackages(five, 0)).toEqual([1, 3, 4, 5]);
    expect(choosePackages(five, 2)).toEqual([1, 3]);
    expect(choosePackages(five, 9)).toEqual([]);
    expect(choosePackages(five, 0, [3, 5])).toEqual([1, 4]);
  });

  it('chooses all of an unfinished package but what is in use, and nothing of a damaged one', () => {
    expect(choosePackages({ numbers: [1, 2] })).toEqual([1, 2]);
    expect(choosePackages({ numbers: [1, 2] }, undefined, [2])).toEqual([1]);
    expect(choosePackages({ ...five, isDamaged: true }, 0)).toEqual([]);
    expect(choosePackages({ numbers: [1], isDamaged: true })).toEqual([]);
  });
});

describe('chooseGenerations', () => {
  type Stacks = Readonly<Record<string, number>>;

  function chooseOf(
    maps: readonly Stacks[],
    stored: Readonly<Record<string, readonly number[]>>,
    current = maps.length,
  ): readonly number[] {
    const generations = maps.map(
      (stacks, index): Generation => ({
        number: index + 1,
        createdAt: NOW.toISOString(),
        reason: '',
        stacks,
      }),
    );
    const revisions = Object.entries(stored).flatMap(([name, numbers]) =>
      numbers.map((revision) => ({ stack: stackName(name), revision })),
    );
    return chooseGenerations({ current: generations[current - 1], generations, revisions });
  }
  const upTo = (last: number, first = 1) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index);
  /** Twenty updates of a, then ten of b. */
  const updates: readonly Stacks[] = [
    ...upTo(20).map((a) => ({ a })),
    ...upTo(10).map((b) => ({ a: 20, b })),
  ];

  it('chooses no generation that a rollback can lead to', () => {
    expect(chooseOf(updates, { a: upTo(20), b: upTo(10) })).toEqual([]);
    // Back and forth between stored revisions.
    expect(chooseOf([{ a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }], { a: [1, 2] })).toEqual([]);
  });

  it('chooses generations with a removed revision, except for the last ten', () => {
    expect(chooseOf(updates, { a: upTo(20, 18), b: upTo(10, 8) })).toEqual([...upTo(17)]);
    expect(
      chooseOf([...updates, ...upTo(20, 11).map((b) => ({ a: 20, b }))], { a: [20], b: [20] }),
    ).toEqual([...upTo(19), ...upTo(29, 21)]);
  });

  it('keeps the newest generation that shows that a stored revision was current', () => {
    const maps = [...upTo(30).map((a) => ({ a, b: 1 })), ...upTo(20, 2).map((b) => ({ a: 30, b }))];
    // Revision 5 of a is stored, and no other file shows that it was current.
    expect(chooseOf(maps, { a: [5, 30], b: [19, 20] })).toEqual([...upTo(4), ...upTo(38, 6)]);
  });

  it('ignores stacks that were removed later', () => {
    const maps = [{ gone: 1, a: 1 }, ...upTo(15).map((a) => ({ a }))];
    expect(chooseOf(maps, { a: upTo(15) })).toEqual([]);
    expect(chooseOf(maps, { a: upTo(15, 2) })).toEqual([1, 2]);
  });

  it('keeps at most a thousand generations to go back to', () => {
    const maps = upTo(1500).map((number) => ({ a: (number % 2) + 1 }));
    expect(chooseOf(maps, { a: [1, 2] })).toEqual(upTo(499));
  });

  it('chooses none if no generation is current, and none above the current one', () => {
    expect(chooseOf(updates, {}, 0)).toEqual([]);
    expect(chooseOf(updates, {}, 12)).toEqual([1]);
  });
});

describe('the owner in a file name', () => {
  it('is found at the beginning of the name or after a dot', () => {
    const { pid, startTime } = ownIdentity();
    const name = toOwnedName();
    for (const made of [name, `${name}.erofs`, `${name}.erofs.12ab.build`, `9.json.${name}.tmp`]) {
      expect(ownerOfName(made)).toEqual({ pid, startTime });
      expect(isStaleName(made)).toBe(false);
    }
  });

  it('is gone if its process has ended or another process has its pid', () => {
    const random = '0123456789abcdef';
    expect(isStaleName(`4000000-1-${random}`)).toBe(true);
    expect(isStaleName(`${process.pid}-1-${random}.tmp`)).toBe(true);
  });

  it.each(['', 'current', '12-34', '12-34-56', 'x12-34-0123456789abcdef', '0123456789abcdef.tmp'])(
    'is not found in %j',
    (name) => {
      expect(ownerOfName(name)).toBeUndefined();
      expect(isStaleName(name)).toBe(false);
    },
  );
});
