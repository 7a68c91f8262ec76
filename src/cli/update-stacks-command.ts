/** `stackshim stack update`: stacks are built again; what goes on is told on stderr, what came of each on stdout. */
import { resolve } from 'node:path';
import { StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { openDoor } from '../door/open-stackshim.ts';
import type { StackUpdate, UpdateReport } from '../images/update-stacks.ts';
import { toAbsolute } from '../sys/to-absolute.ts';
import { openBuildProgress } from './build-progress-view.ts';
import { statusOfError } from './exit-status.ts';
import { formatTable } from './format-table.ts';
import { print, printJson, printNote } from './print.ts';
import { reportError } from './report-error.ts';
import { reportToolOutput } from './report-tool-output.ts';
import { toPositive } from './stack-arguments.ts';
import { listenForStops } from './stop-signals.ts';

export interface UpdateCommandOptions {
  readonly all?: boolean;
  readonly dependents?: boolean;
  readonly from?: string;
  readonly keep?: string;
  readonly json?: boolean;
}

/** Exit status 0 when none failed; of one stack that failed its error's, else 1. */
export async function updateNamed(
  words: readonly string[],
  options: UpdateCommandOptions,
): Promise<void> {
  const names = toNames(words, options);
  const keep = toPositive('--keep', options.keep);
  const stops = listenForStops();
  const view = openBuildProgress(process.stderr);
  let isAlone = true;
  try {
    const report = await openDoor().stacks.update({
      signal: stops.signals.signal,
      onProgress: (stack, progress) => view.onProgress(progress, isAlone ? undefined : stack),
      onStack(stack, number, count) {
        isAlone = count === 1;
        view.close();
        printNote(`[${number}/${count}] ${stack}\n`);
      },
      keep,
      names,
      ...(options.dependents ? { dependents: true } : {}),
      from: options.from === undefined ? undefined : resolve(toAbsolute(options.from)),
    });
    view.close();
    await (options.json ? printJson(report) : print(formatReport(report)));
    process.exitCode = tellFailures(report);
  } finally {
    view.close();
    stops.close();
  }
}

/** Undefined: all. */
function toNames(
  words: readonly string[],
  options: UpdateCommandOptions,
): readonly string[] | undefined {
  if ((options.all === true) === words.length > 0) throw toUnclear();
  return options.all ? undefined : words;
}

const toUnclear = () =>
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

/** Each with its stack's name, and with what its smoke command said. */
function tellFailures({ updates }: UpdateReport): number {
  const errors = updates.flatMap(({ stack, error }: StackUpdate) =>
    error === null ? [] : [{ ...error, message: withName(stack, error.message) }],
  );
  for (const error of errors) {
    reportToolOutput(error);
    reportError(error);
  }
  const [only] = errors;
  if (only === undefined) return 0;
  return updates.length === 1 ? statusOfError(only) : 1;
}

/** What a program said of its own failure does not tell whose build it was. */
function withName(stack: StackName, message: string): string {
  const words = message.split(/[^a-z0-9._-]+/);
  return words.includes(stack) ? message : `update ${stack}: ${message}`;
}
