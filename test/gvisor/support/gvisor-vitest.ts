/** Stands in for `vitest` in the suites that the gvisor lane runs: the exceptions are left out, everything else is the same. */
import { it as everyIt, type TestAPI } from 'vitest';
import { GVISOR_EXCEPTIONS } from './gvisor-exceptions.ts';

export * from 'vitest';

const excepted: ReadonlySet<string> = new Set(GVISOR_EXCEPTIONS.map(({ test }) => test));

type Register = (name: string, ...rest: readonly unknown[]) => void;

const unlessExcepted =
  (register: Register): Register =>
  (name, ...rest) => {
    if (!excepted.has(name)) register(name, ...rest);
  };

const plain = everyIt as unknown as Register & { each(...table: readonly unknown[]): Register };

export const it = Object.assign(unlessExcepted(plain), everyIt, {
  each: (...table: readonly unknown[]) => unlessExcepted(plain.each(...table)),
}) as unknown as TestAPI;

export const test = it;
