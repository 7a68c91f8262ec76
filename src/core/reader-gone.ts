/** The end of a program in a pipe that nobody reads from any more. */
import { StackshimError } from './errors.ts';

/** What was written is not whole, and whoever read it wanted no more: a command ends as SIGPIPE would end it, and says nothing. */
export class ReaderGone extends StackshimError {
  constructor(name: string, cause: unknown) {
    super('ERR_STACKSHIM_SYSTEM', `write ${name}: its reader has gone`, { cause });
  }
}
