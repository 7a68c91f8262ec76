/** The environment of this process, under the names that the caller gave. */
import type { CallerEnv } from '../spec/parse-env.ts';

/** scripts/steps/hide-variables.mjs makes the first letter of these names lower case, so that Bun ignores them. */
const HIDDEN = /^(?:bUN_|nODE|jSC_)/;

/** For `--env NAME`, which passes the caller's value on: a task may need `NODE_ENV`. */
export const callerEnvironment = (): CallerEnv =>
  Object.fromEntries(
    Object.entries(process.env).map(([name, value]) => [
      HIDDEN.test(name) ? name.charAt(0).toUpperCase() + name.slice(1) : name,
      value,
    ]),
  );
