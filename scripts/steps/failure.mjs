/** A step that cannot continue: printed as a message and a hint, without a stack trace. */
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
