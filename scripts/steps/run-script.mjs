/** Runs the main function of a script and exits with its status. */
import { constants } from 'node:os';
import { StepFailure } from './failure.mjs';
import { stopProgramsOnSignals } from './run-program.mjs';

/**
 * A failure ends the process with status 1 and a readable message; a signal with 128 + its number, after the step that it stopped has
 * cleaned up.
 * @param {() => Promise<number | undefined | void>} main resolves with the exit status; undefined is 0
 */
export async function runScript(main) {
  /** @type {number | undefined} */
  let stopStatus;
  stopProgramsOnSignals((signal) => {
    stopStatus = 128 + constants.signals[signal];
  });
  try {
    const status = (await main()) ?? 0;
    process.exitCode = stopStatus ?? status;
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    const hint = error.hint === '' ? '' : `\n  hint: ${error.hint}`;
    console.error(`\nfailed: ${error.message}${hint}`);
    process.exitCode = stopStatus ?? 1;
  }
}
