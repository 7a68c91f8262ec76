/** The arithmetic of a machine's budget. */
import { describe, expect, it } from 'vitest';
import { estimateDisk, toCapacity, withDisk } from '../../src/worker/intake/budget/machine.ts';
import { addNeeds, fitsIn, NO_NEEDS, subtractNeeds } from '../../src/worker/intake/budget/needs.ts';
import { roomIn, type Share, tasksOf } from '../../src/worker/intake/budget/share.ts';

const GIB = 1024 ** 3;
const needs = (amount: number) => ({ memoryBytes: amount, diskBytes: amount, cpus: amount });
const share = (reserved: number, claims: Share['claims'] = []): Share => ({
  reserved: needs(reserved),
  claims,
  tenants: { a: reserved },
});

describe('needs', () => {
  it('are added and taken away without drift', () => {
    let sum = NO_NEEDS;
    const tenth = { memoryBytes: 1, diskBytes: 1, cpus: 0.1 };
    for (let round = 0; round < 30; round += 1) sum = addNeeds(sum, tenth);
    for (let round = 0; round < 30; round += 1) sum = subtractNeeds(sum, tenth);
    expect(sum).toEqual(NO_NEEDS);
  });

  it('fit only if each of them fits', () => {
    expect(fitsIn(needs(2), needs(2))).toBe(true);
    for (const field of ['memoryBytes', 'diskBytes', 'cpus']) {
      expect(fitsIn(needs(2), { ...needs(2), [field]: 1 })).toBe(false);
    }
  });
});

describe('room', () => {
  it('is what all workers leave', () => {
    expect(roomIn(needs(10), [share(3), share(4)], Number.POSITIVE_INFINITY)).toEqual(needs(3));
    expect(tasksOf('a', [share(3), share(4)])).toBe(7);
    expect(tasksOf('b', [share(3)])).toBe(0);
  });

  it('is kept for whoever waits longer', () => {
    const shares = [
      share(1, [{ needs: needs(2), sinceMs: 100 }]),
      share(0, [{ needs: needs(3), sinceMs: 200 }]),
    ];
    expect(roomIn(needs(10), shares, Number.POSITIVE_INFINITY)).toEqual(needs(4));
    expect(roomIn(needs(10), shares, 200)).toEqual(needs(7));
    expect(roomIn(needs(10), shares, 100)).toEqual(needs(9));
  });
});

describe('a machine', () => {
  const machine = { memoryBytes: 16 * GIB, cpus: 4 };
  const worker = { memory: 1, cpus: 2, disk: 1 };

  it('has its memory less a reserve, and its processors times the factor', () => {
    expect(toCapacity(machine, { worker, reserves: { memoryBytes: 2 * GIB } })).toEqual({
      memoryBytes: 14 * GIB,
      cpus: 8,
    });
    const { memoryBytes } = toCapacity(machine, { worker, reserves: {} });
    expect(memoryBytes).toBe(Math.floor(16 * GIB * 0.95));
    const small = toCapacity({ memoryBytes: GIB, cpus: 1 }, { worker, reserves: {} });
    expect(small.memoryBytes).toBe(0.75 * GIB);
    expect(toCapacity({ memoryBytes: 1, cpus: 1 }, { worker, reserves: {} }).memoryBytes).toBe(0);
  });

  it('has the free disk space, times the factor, less the reserve', () => {
    const policy = { worker: { ...worker, disk: 0.5 }, reserves: { diskBytes: 10 } };
    expect(withDisk({ memoryBytes: 1, cpus: 1 }, 100, policy).diskBytes).toBe(40);
    expect(withDisk({ memoryBytes: 1, cpus: 1 }, 10, policy).diskBytes).toBe(0);
  });

  it('does not count twice what running tasks have written', () => {
    // 30 reserved, 20 of them written.
    expect(estimateDisk(80, 30, 100)).toBe(100);
    // Others have written, too.
    expect(estimateDisk(50, 30, 100)).toBe(80);
    // Nothing is reserved: what is free is known.
    expect(estimateDisk(70, 0, 100)).toBe(70);
    // Something else was removed.
    expect(estimateDisk(120, 30, 100)).toBe(120);
  });
});
