/** The environment that this process was called with, under the names that the caller gave. */
import type { CallerEnv } from '../spec/parse-entries.ts';

/** scripts/steps/hide-variables.mjs makes the first letter of these a small one, so that Bun does not obey the variables. */
const HIDDEN = /^(?:bUN_|nODE|jSC_)/;

/** For `--env NAME`, which takes the caller's value: a task may well need `NODE_ENV`. */
export const callerEnvironment = (): CallerEnv =>
  Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [
      HIDDEN.test(name) ? name.charAt(0).toUpperCase() + name.slice(1) : name,
      value,
    ]),
  );
