/** Prints the steps of a script and their durations to stderr. */
import { AsyncLocalStorage } from 'node:async_hooks';

/** @type {AsyncLocalStorage<string>} who speaks, where parts of a script run side by side */
const speaker = new AsyncLocalStorage();

/**
 * Runs a part of a script whose lines all begin with `name`, to distinguish them from those of other parts.
 * @template T
 * @param {string} name
 * @param {() => T} run
 * @returns {T}
 */
export const speakAs = (name, run) => speaker.run(name, run);

/**
 * Runs one step; prints its title before and its duration after it. A step can return a string to print, e.g. 'nothing to do'.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} run
 * @returns {Promise<T>}
 */
export async function reportStep(title, run) {
  say(`==> ${title}`);
  const startedAt = process.hrtime.bigint();
  let end = 'failed after';
  try {
    const outcome = await run();
    end = typeof outcome === 'string' ? `${outcome},` : 'done in';
    return outcome;
  } finally {
    const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
    say(`    ${end} ${seconds.toFixed(1)} s`);
  }
}

/** @param {string} text */
export function note(text) {
  say(`    ${text}`);
}

/** @param {string} text one line or more */
export function say(text) {
  const name = speaker.getStore();
  const lines = name === undefined ? text : text.replaceAll(/^/gm, `${name} | `);
  console.error(lines);
}
