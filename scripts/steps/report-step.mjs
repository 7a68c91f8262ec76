/** Says what a script is doing and how long each step took. Progress goes to stderr. */

/**
 * Runs one step; prints its title before and its time after. A step that returns a string says so, e.g. 'nothing to do'.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} run
 * @returns {Promise<T>}
 */
export async function reportStep(title, run) {
  console.error(`==> ${title}`);
  const startedAt = process.hrtime.bigint();
  let end = 'failed after';
  try {
    const outcome = await run();
    end = typeof outcome === 'string' ? `${outcome},` : 'done in';
    return outcome;
  } finally {
    const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
    console.error(`    ${end} ${seconds.toFixed(1)} s`);
  }
}

/** @param {string} text */
export function note(text) {
  console.error(`    ${text}`);
}
