/** The error of a command whose output nobody reads any more. It is in core because `main` must know it, and loads no other room for a plain run. */
import { StackshimError } from './errors.ts';

/** The reader closed the pipe before the archive was complete. The command then ends as SIGPIPE would end it: status 141, no message. */
export class ReaderGone extends StackshimError {
  constructor(name: string, cause: unknown) {
    super('ERR_STACKSHIM_SYSTEM', `write ${name}: its reader has gone`, { cause });
  }
}
