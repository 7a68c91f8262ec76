/** `stackshim stack build` with several folders: the plan, the progress of all builds, and a table of outcomes. */
import type { BuildsReport, StackBuild } from '../../build/build-stacks.ts';
import type { PlannedBuild } from '../../build/plan-builds.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { formatCount } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer, printNote } from '../print/print.ts';
import { reportFailedStacks } from '../print/report-failures.ts';
import { withBuildView } from '../progress/with-progress.ts';
import type { BuildCommandOptions } from './stack-build.ts';

/** Sets the exit status: 0 if every stack is built or unchanged, otherwise 1. */
export async function stackBuildAll(
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

/** One line for each stack, in the order of the builds. */
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
