/** A step that cannot go on: printed as one message and a hint, without a stack trace. */
export class StepFailure extends Error {
  /** @override */
  name = 'StepFailure';

  /**
   * @param {string} message what failed: lower case, operation and object
   * @param {string} hint what a person can do about it
   */
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

/**
 * Runs a script's main function; a failure ends the process with status 1 and a readable message.
 * @param {() => Promise<number | undefined | void>} main resolves with the exit status; undefined is 0
 */
export async function runScript(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    console.error(`\nfailed: ${error.message}\n  hint: ${error.hint}`);
    process.exitCode = 1;
  }
}
