/** Runs a script's main function and turns its end into an exit status. */
import { constants } from 'node:os';
import { StepFailure } from './failure.mjs';
import { stopProgramsOnSignals } from './run-program.mjs';

/**
 * A failure ends the process with status 1 and a readable message. A signal ends it with 128 plus its number, once the stopped step has
 * cleaned up.
 * @param {() => Promise<number | undefined | void>} main resolves to the exit status; undefined is 0
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
