/** `stackshim stack update`: builds stacks again. Progress goes to stderr, the outcome of each stack to stdout. */
import { resolve } from 'node:path';
import type { UpdateReport } from '../../build/update-stacks.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { invalidInput } from '../../spec/field-errors.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer, printNote } from '../print/print.ts';
import { reportFailedStacks } from '../print/report-failures.ts';
import { withBuildView } from '../progress/with-progress.ts';

interface UpdateCommandOptions extends JsonOption {
  readonly all?: boolean;
  readonly dependents?: boolean;
  readonly from?: string;
  readonly keep?: string;
  readonly jobs?: string;
}

/** Sets the exit status: 0 if all succeeded, the error's own for a single stack, otherwise 1. */
export async function stackUpdate(
  words: readonly string[],
  options: UpdateCommandOptions,
): Promise<void> {
  const { all = false, dependents = false, from, json } = options;
  if (all === words.length > 0) {
    const hint = 'name stacks (stackshim stack update ruby-3.3), or use --all';
    throw invalidInput('name', 'update stacks: no stack given', hint);
  }
  const keep = toPositive('--keep', options.keep);
  const jobs = toPositive('--jobs', options.jobs);
  let isAlone = true;
  const report = await withBuildView(options, (view, signal) =>
    openDoor().stacks.update({
      signal,
      onProgress: (stack, progress) => view.onProgress(progress, isAlone ? undefined : stack),
      onStack(stack, number, count) {
        isAlone = count === 1;
        view.close();
        if (!json) printNote(`[${number}/${count}] ${stack}\n`);
      },
      ...{ keep, jobs, dependents },
      names: all ? undefined : words,
      from: from === undefined ? undefined : resolve(toAbsolute(from)),
    }),
  );
  await printAnswer(report, options, formatReport);
  process.exitCode = reportFailedStacks('update', report.updates, options);
}

function formatReport({ updates, behind }: UpdateReport): string {
  const table = formatTable(
    ['STACK', 'OUTCOME', 'BEFORE', 'NOW', 'REMOVED'],
    updates.map(({ stack, status, before, revision, removedRevisions }) => [
      stack,
      status,
      before === null ? '-' : String(before),
      revision === null ? '-' : String(revision),
      removedRevisions.join(', '),
    ]),
  );
  const late = behind.map(
    ({ stack, base }) => `${stack} is behind its base ${base}: stackshim stack update ${stack}\n`,
  );
  return `${table}${late.join('')}`;
}
