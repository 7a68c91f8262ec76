/** Folders of `<n>.json` files: revisions of a stack, generations. */
import { readdirSync } from 'node:fs';
import { errnoCodeOf } from '../core/errors.ts';

const NUMBERED = /^([1-9][0-9]{0,8})\.json$/;

/** The numbers for which there is a file, ascending; none when there is no folder. Other names are left alone. */
export function readNumbers(directory: string): number[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const numbers: number[] = [];
  for (const name of names) {
    const digits = NUMBERED.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** One more than the largest number in use, so that what was interrupted half way is skipped. */
export const nextNumber = (numbers: readonly number[]): number => (numbers.at(-1) ?? 0) + 1;
