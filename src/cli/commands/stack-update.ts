/** `stackshim stack update`: builds stacks again. Progress goes to stderr, the outcome of each stack to stdout. */
import { resolve } from 'node:path';
import type { UpdateReport } from '../../build/update-stacks.ts';
import { StackshimError } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { toPositive } from '../define/shared-options.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson, printNote } from '../print/print.ts';
import { reportFailedStacks } from '../print/report-failed-stacks.ts';
import { openStderr } from '../print/terminal.ts';
import { openBuildProgress } from '../progress/build-progress-view.ts';
import { listenForStops } from '../run/caller-signals.ts';

export interface UpdateCommandOptions {
  readonly all?: boolean;
  readonly dependents?: boolean;
  readonly from?: string;
  readonly keep?: string;
  readonly jobs?: string;
  readonly json?: boolean;
}

/** Sets the exit status: 0 if all succeeded, the error's own if there was only one stack, otherwise 1. */
export async function stackUpdate(
  words: readonly string[],
  options: UpdateCommandOptions,
): Promise<void> {
  const names = toNames(words, options);
  const keep = toPositive('--keep', options.keep);
  const jobs = toPositive('--jobs', options.jobs);
  const stops = listenForStops();
  const view = openBuildProgress(openStderr(), { quiet: options.json === true });
  let isAlone = true;
  try {
    const report = await openDoor().stacks.update({
      signal: stops.signals.signal,
      onProgress: (stack, progress) => view.onProgress(progress, isAlone ? undefined : stack),
      onStack(stack, number, count) {
        isAlone = count === 1;
        view.close();
        if (options.json !== true) printNote(`[${number}/${count}] ${stack}\n`);
      },
      keep,
      jobs,
      names,
      ...(options.dependents ? { dependents: true } : {}),
      from: options.from === undefined ? undefined : resolve(toAbsolute(options.from)),
    });
    view.close();
    await (options.json ? printJson(report) : print(formatReport(report)));
    process.exitCode = reportFailedStacks('update', report.updates, options);
  } finally {
    view.close();
    stops.close();
  }
}

/** The named stacks; undefined for all. */
function toNames(
  words: readonly string[],
  options: UpdateCommandOptions,
): readonly string[] | undefined {
  if ((options.all === true) === words.length > 0) throw toNoneNamed();
  return options.all ? undefined : words;
}

const toNoneNamed = () =>
  new StackshimError('ERR_STACKSHIM_SPEC_INVALID', 'update stacks: no stack given', {
    hint: 'name stacks (stackshim stack update ruby-3.3), or use --all',
    details: { field: 'name' },
  });

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
