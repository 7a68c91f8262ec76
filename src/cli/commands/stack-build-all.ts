/** `stackshim stack build` with several folders: the plan, the progress of all builds, and a table of outcomes. */
import type { BuildsReport, StackBuild } from '../../build/build-stacks.ts';
import type { PlannedBuild } from '../../build/plan-builds.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { formatCount } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson, printNote } from '../print/print.ts';
import { reportFailedStacks } from '../print/report-failed-stacks.ts';
import { openStderr } from '../print/terminal.ts';
import { openBuildProgress } from '../progress/build-progress-view.ts';
import { listenForStops } from '../run/caller-signals.ts';

interface BuildAllOptions {
  readonly ifChanged?: boolean;
  readonly jobs: number | undefined;
  readonly plan?: boolean;
  readonly json?: boolean;
}

/** Sets the exit status: 0 if every stack is built or unchanged, otherwise 1. */
export async function stackBuildAll(
  directories: readonly string[],
  { ifChanged, jobs, plan: isPlanOnly, json }: BuildAllOptions,
): Promise<void> {
  const { stacks } = openDoor();
  if (isPlanOnly) {
    const plan = await stacks.planBuilds(directories);
    return await (json ? printJson({ plan }) : print(formatPlan(plan)));
  }
  const stops = listenForStops();
  const view = openBuildProgress(openStderr(), { quiet: json === true });
  const note = (text: string) => {
    view.close();
    printNote(text);
  };
  try {
    const report = await stacks.buildAll(directories, {
      signal: stops.signals.signal,
      ifChanged: ifChanged === true,
      jobs,
      onPlan: (plan) => note(formatPlan(plan)),
      onStack: (stack, number, count) => note(`[${number}/${count}] ${stack}\n`),
      onProgress: (stack, progress) => view.onProgress(progress, stack),
      onBuilt: (build) => note(`${build.stack}: ${describeOutcome(build)}\n`),
    });
    view.close();
    await (json ? printJson(report) : print(formatReport(report)));
    note(`${summarise(report)}\n`);
    process.exitCode = reportFailedStacks('build', report.builds, { json: json === true });
  } finally {
    view.close();
    stops.close();
  }
}

/** One line for each stack, in the order of the builds. */
function formatPlan(plan: readonly PlannedBuild[]): string {
  return formatTable(
    ['', 'STACK', 'BUILT ON', 'FOLDER'],
    plan.map(({ stack, needs, after, missing, directory }, index) => [
      String(index + 1),
      stack,
      needs.map((name) => `${name}${toRemark(name, { after, missing })}`).join(', ') || '-',
      directory,
    ]),
  );
}

function toRemark(
  name: PlannedBuild['stack'],
  { after, missing }: Pick<PlannedBuild, 'after' | 'missing'>,
): string {
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
