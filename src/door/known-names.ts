/** The names of stacks, revisions and tasks on this host with a few words about each, for shell completion. */
import { existsSync } from 'node:fs';
import { isStackName, isTaskId } from '../core/ids.ts';
import { type Layout, taskDir } from '../core/layout.ts';
import { STACK_LABELS } from '../store/images/image.ts';
import { listPackages } from '../store/packages/list-packages.ts';
import { readSoundStacks } from '../store/stacks/current-stacks.ts';
import { readReleases, readStackHistory } from '../store/stacks/stack-history.ts';
import { listTaskIds, readRecord } from '../task/records/read-record.ts';
import type { TaskRecord } from '../task/records/record.ts';
import { listReportIds, readReport } from '../task/reports/report.ts';

export interface KnownName {
  readonly name: string;
  /** May contain text of an image or a task; empty if nothing is known. */
  readonly about: string;
}

/** Each list is read when its function is called, and is empty for a user who may not read it. */
export interface KnownNames {
  stacks(): readonly KnownName[];
  /** Numbers, newest first. */
  revisions(stack: string): readonly KnownName[];
  /** Numbers, newest first. */
  generations(): readonly KnownName[];
  tasks(): readonly KnownName[];
  /** Code packages without a tenant. */
  packages(): readonly KnownName[];
  /** Removed tasks that have left a report. */
  ended(): readonly KnownName[];
  /** Paths in a running task that begin like the given one. */
  files(typed: TaskPath): Promise<readonly KnownName[]>;
}

/** A path in a task, as `cp` takes it. */
export interface TaskPath {
  readonly task: string;
  readonly path: string;
}

const MOST_GENERATIONS = 50;
/** With more ended tasks than this, only the ids are read. */
const MOST_DESCRIBED = 200;
const DAY = 'YYYY-MM-DD'.length;

export const knownNamesOf = (layout: Layout): KnownNames => ({
  stacks: () =>
    unlessUnreadable(() =>
      readSoundStacks(layout).map(({ revision, image }) => ({
        name: revision.stack,
        about: image.config.labels[STACK_LABELS.description] ?? '',
      })),
    ),
  revisions: (stack) =>
    isStackName(stack)
      ? unlessUnreadable(() =>
          readStackHistory(layout, stack).map(({ revision, state, createdAt }) => ({
            name: String(revision),
            about: `${state}, of ${createdAt.slice(0, DAY)}`,
          })),
        )
      : [],
  generations: () =>
    unlessUnreadable(() =>
      readReleases(layout, MOST_GENERATIONS).map(({ generation, createdAt, reason }) => ({
        name: String(generation),
        about: `${createdAt.slice(0, DAY)}: ${reason}`,
      })),
    ),
  packages: () =>
    unlessUnreadable(() =>
      listPackages(layout, null, () => undefined).map(({ name, stack }) => ({
        name,
        about: stack ?? '',
      })),
    ),
  tasks: () =>
    unlessUnreadable(() => listTaskIds(layout)).map((id) => ({
      name: id,
      about: describe(() => readRecord(layout, id)),
    })),
  ended: () => {
    const ids = unlessUnreadable(() => listReportIds(layout)).filter(
      (id) => !existsSync(taskDir(layout, id)),
    );
    const read = ids.length > MOST_DESCRIBED ? () => undefined : readReport;
    return ids.map((id) => ({ name: id, about: describe(() => read(layout, id)?.task) }));
  },
  async files({ task, path }) {
    if (!isTaskId(task)) return [];
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const { listFiles } = await import('../task/copying/copy-files.ts');
    // Empty, too, if the task does not answer.
    const names = await listFiles(layout, task, folder || '/').catch(() => []);
    return names.map((name) => ({ name: `${task}:${folder}${name}`, about: '' }));
  },
});

function describe(read: () => Pick<TaskRecord, 'stack' | 'command'> | undefined): string {
  const [task] = unlessUnreadable(() => [read()]);
  return task === undefined ? '' : `${task.stack}: ${task.command.join(' ')}`;
}

/** Ignores errors: completion has nobody to report them to, and the command that is being typed will report them. */
function unlessUnreadable<T>(read: () => readonly T[]): readonly T[] {
  try {
    return read();
  } catch {
    return [];
  }
}
