/** How descriptors of the process become descriptors of the program, for all numbers. */
import { expect, it } from 'vitest';
import { planDuplicates } from '../../src/sys/posix-spawn.ts';

/** For each number, the file that this process has open under that number. */
function carryOut(stdio: readonly number[]): readonly (number | undefined)[] {
  const files = new Map(stdio.map((fd) => [fd, fd]));
  for (const [from, to] of planDuplicates(stdio)) files.set(to, files.get(from) ?? Number.NaN);
  return stdio.map((_, number) => files.get(number));
}

it.each([
  { stdio: [10, 11, 12] },
  { stdio: [0, 1, 2] },
  { stdio: [2, 1, 0] },
  { stdio: [1, 0, 0] },
  { stdio: [5, 3, 4, 0] },
  { stdio: [3, 2, 1, 0] },
  { stdio: [7, 7, 7] },
])('$stdio', ({ stdio }) => {
  expect(carryOut(stdio)).toEqual(stdio);
});
