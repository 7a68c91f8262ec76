/** Folders of `<n>.json` files: revisions of a stack, generations. */
import { namesIn } from '../sys/files.ts';

const NUMBERED = /^([1-9][0-9]{0,8})\.json$/;

/** The numbers of the files, ascending; empty if there is no folder. Ignores other names. */
export function readNumbers(directory: string): number[] {
  const numbers: number[] = [];
  for (const name of namesIn(directory)) {
    const digits = NUMBERED.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((a, b) => a - b);
}

/** One more than the largest number in use, so that the number of an interrupted change is skipped. */
export const nextNumber = (numbers: readonly number[]): number => (numbers.at(-1) ?? 0) + 1;
