/** `stackshim stack build`: builds stacks from folders, with progress on standard error. */
import type { BuildsReport, StackBuild } from '../../build/build-stacks.ts';
import type { PlannedBuild } from '../../build/plan-builds.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { type JsonOption, toPositive } from '../define/shared-options.ts';
import { formatCount } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer, printNote } from '../print/print.ts';
import { reportFailedStacks } from '../print/report-failures.ts';
import { withBuildView, withProgress } from '../progress/with-progress.ts';

interface BuildCommandOptions extends JsonOption {
  readonly ifChanged?: boolean;
  readonly jobs?: string;
  readonly plan?: boolean;
}

/** A stop signal (SIGINT, SIGTERM, …) aborts the running builds, which then change nothing. */
export async function stackBuild(
  directories: readonly string[],
  options: BuildCommandOptions,
): Promise<void> {
  const jobs = toPositive('--jobs', options.jobs);
  const [directory, ...others] = directories;
  if (directory === undefined || others.length > 0 || options.plan) {
    return await stackBuildAll(directories, jobs, options);
  }
  const ifChanged = options.ifChanged === true;
  const result = await withProgress(
    (exchange, stacks) => stacks.build(directory, { ...exchange, ifChanged, jobs }),
    options,
  );
  const { stack, revision, image, status } = result;
  await printAnswer(result, options, () => `${stack}@rev:${revision} ${image} ${status}\n`);
}

/**
 * Prints the plan, the progress of all builds, and a table of outcomes. Sets the exit status: 0 if every stack is built or unchanged, the
 * error's own for a single stack, otherwise 1.
 */
async function stackBuildAll(
  directories: readonly string[],
  jobs: number | undefined,
  options: Omit<BuildCommandOptions, 'jobs'>,
): Promise<void> {
  const { stacks } = openDoor();
  if (options.plan) {
    const plan = await stacks.planBuilds(directories);
    return await printAnswer({ plan }, options, () => formatPlan(plan));
  }
  const report = await withBuildView(options, (view, signal) => {
    const note = (text: string) => {
      view.close();
      printNote(text);
    };
    return stacks.buildAll(directories, {
      signal,
      ifChanged: options.ifChanged === true,
      jobs,
      onPlan: (plan) => note(formatPlan(plan)),
      onStack: (stack, number, count) => note(`[${number}/${count}] ${stack}\n`),
      onProgress: (stack, progress) => view.onProgress(progress, stack),
      onBuilt: (build) => note(`${build.stack}: ${describeOutcome(build)}\n`),
    });
  });
  await printAnswer(report, options, formatReport);
  printNote(`${summarise(report)}\n`);
  process.exitCode = reportFailedStacks('build', report.builds, options);
}

/** Formats one line for each stack, in the order of the builds. */
function formatPlan(plan: readonly PlannedBuild[]): string {
  return formatTable(
    ['', 'STACK', 'BUILT ON', 'FOLDER'],
    plan.map(({ stack, needs, after, missing, directory }, index) => [
      String(index + 1),
      stack,
      needs.map((name) => `${name}${toRemark(name, after, missing)}`).join(', ') || '-',
      directory,
    ]),
  );
}

function toRemark(name: string, after: readonly string[], missing: readonly string[]): string {
  if (after.includes(name)) return ' (built first)';
  return missing.includes(name) ? ' (missing)' : '';
}

function formatReport({ builds }: BuildsReport): string {
  return formatTable(
    ['STACK', 'OUTCOME', 'REVISION', 'TIME'],
    builds.map((build) => [
      build.stack,
      build.blockedBy === null ? build.status : `blocked by ${build.blockedBy}`,
      build.revision === null ? '-' : String(build.revision),
      toSeconds(build.wallMs),
    ]),
  );
}

function describeOutcome({ status, revision, blockedBy, wallMs }: StackBuild): string {
  switch (status) {
    case 'built':
      return `built as revision ${revision} in ${toSeconds(wallMs)}`;
    case 'unchanged':
      return `unchanged, revision ${revision}`;
    case 'failed':
      return `failed after ${toSeconds(wallMs)}`;
    case 'blocked':
      return `not built, because ${blockedBy} is not`;
  }
}

function summarise({ builds }: BuildsReport): string {
  const words = (['built', 'unchanged', 'failed', 'blocked'] as const).flatMap((status) => {
    const count = builds.filter((build) => build.status === status).length;
    return count === 0 ? [] : [`${count} ${status}`];
  });
  return `${formatCount(builds.length, 'stack')}: ${words.join(', ')}`;
}

const toSeconds = (ms: number) => `${(ms / 1000).toFixed(1)}s`;
