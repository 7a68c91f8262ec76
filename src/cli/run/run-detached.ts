/** `run -d`: leaves the task to a keeper, and prints the task's id once the command has begun. */
import { StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { TaskInput } from '../../spec/task-input.ts';
import type { RunOptions } from '../define/run-options.ts';
import { statusOfResult } from '../exit-status.ts';
import { print } from '../print/print.ts';
import { whileStoppable } from './caller-signals.ts';
import { reportFailure } from './report-task.ts';

/** Options that need a process that waits for the task's end or gives it input. */
const ATTACHED_OPTIONS = ['interactive', 'json', 'result', 'events'] as const;

export async function runDetached(input: TaskInput, options: RunOptions): Promise<void> {
  for (const name of ATTACHED_OPTIONS) if (options[name] !== undefined) throw toConflict(name);
  for (const name of ['code', 'payload'] as const) {
    // The keeper does not have this process's standard input.
    if (options[name] === '-') throw toConflict(`${name} -`);
  }
  await whileStoppable(async (signal, stops) => {
    const { id, result } = await openDoor().detach(input, { signal });
    if (result === null) return await print(`${id}\n`);
    reportFailure(result, input.command ?? [], options);
    process.exitCode = statusOfResult(result, stops.received());
  });
}

const toConflict = (name: (typeof ATTACHED_OPTIONS)[number] | 'code -' | 'payload -') =>
  new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `--${name}: not with --detach`, {
    hint: 'leave one of the two out; stackshim logs and stackshim inspect show output and result of a detached task',
    details: { field: name },
  });
