/** Creates the report of a task with `log`, before anything else of the task exists, and stores how the task ended. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { errnoCodeOf, StackshimError, toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { reportDir, reportsDir } from '../../core/layout.ts';
import { withoutUndefined } from '../../core/read-fields.ts';
import { ensureDirectorySync } from '../../sys/files.ts';
import { ownIdentity } from '../../sys/processes.ts';
import { syncDirectory, syncFile } from '../../sys/write-file.ts';
import { warn } from '../events.ts';
import { type Installation, readPolicy } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';
import { type TaskRecord, unfinishedName } from '../records/record.ts';
import type { TaskResult } from '../result.ts';
import { pruneSometimes } from './prune-reports.ts';
import type { ReportedTask } from './report.ts';
import { reportPlaces } from './report-places.ts';
import { DRAFT_BYTES, storeEnd, toDiskError, toReportText } from './store-end.ts';
import { TaskLog } from './task-log.ts';

/** The report of a task that this process runs. */
export interface OpenReport {
  readonly log: TaskLog;
  /** Stores the result. A second call replaces it. Never rejects: a failure becomes a process warning, and the report counts as lost. */
  end(result: TaskResult): Promise<void>;
}

/**
 * Creates the report's folder atomically. Rejects with ERR_STACKSHIM_TASK_CONFLICT if an earlier task with this id has left a report, and with
 * ERR_STACKSHIM_DISK_FULL or _SYSTEM; then there is no report.
 */
export async function openReport(
  installation: Installation,
  plan: TaskPlan,
  record: TaskRecord,
): Promise<OpenReport> {
  const { layout } = installation;
  const { reports } = await readPolicy(layout);
  const dir = reportDir(layout, record.id);
  const making = `${reportsDir(layout)}/${unfinishedName(ownIdentity(), record.id)}`;
  ensureDirectorySync(reportsDir(layout), 0o700);
  let log: TaskLog | undefined;
  try {
    mkdirSync(making, { mode: 0o700 });
    const { taskFile, draftFile } = reportPlaces(making);
    writeFileSync(taskFile, toReportText(toReportedTask(plan, record)), { mode: 0o600 });
    writeFileSync(draftFile, ' '.repeat(DRAFT_BYTES), { mode: 0o600 });
    log = new TaskLog(dir, reports.logBytes, making);
    await syncFile(taskFile);
    await syncFile(draftFile);
    renameSync(making, dir);
    await syncDirectory(reportsDir(layout));
  } catch (error) {
    await log?.close();
    rmSync(making, { recursive: true, force: true });
    const errno = errnoCodeOf(error);
    if (errno === 'ENOTEMPTY' || errno === 'EEXIST') throw toReportConflict(record.id, error);
    throw toDiskError(error, `open the log of task ${record.id}`);
  }
  const opened = log;
  return {
    log: opened,
    async end(result) {
      await opened.close();
      try {
        // Captured output goes to the caller; the log has all of it.
        const { stdout: _, stderr: __, ...output } = result.output;
        await storeEnd(dir, { at: result.finishedAt, result: { ...result, output }, exit: null });
        await pruneSometimes(installation, reports);
      } catch (error) {
        rmSync(reportPlaces(dir).draftFile, { force: true });
        warn(toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', `store the result of ${record.id}`));
      }
    },
  };
}

/** The error for a task with the id of an ended task that has left a report. */
export const toReportConflict = (id: TaskId, cause?: unknown): StackshimError =>
  new StackshimError(
    'ERR_STACKSHIM_TASK_CONFLICT',
    `create task ${id}: an ended task with this id has left its result`,
    { hint: `remove it with stackshim rm ${id}, or take another id`, details: { id }, cause },
  );

function toReportedTask({ container, command }: TaskPlan, record: TaskRecord): ReportedTask {
  const { id, owner, stack, revision, image, tenant, origin, labels, createdAt } = record;
  return {
    ...{ id, owner, stack, revision, image, labels, createdAt },
    ...withoutUndefined({ tenant, origin }),
    command: record.command,
    spec: toShownSpec({ container, command }),
  };
}

/** All options of the task, without the content of payload and config, which may be large. */
function toShownSpec({ container, command }: TaskPlan): ReportedTask['spec'] {
  const { admission: _, ulimitMaxima: __, id: ___, ...place } = container.spec;
  const { payload, config, ...what } = command.spec;
  return {
    ...place,
    ...what,
    runtime: container.runtime.path,
    log: true,
    limits: { ...place.limits, ...what.limits },
    payload: payload && toShownInput(payload),
    config: config && toShownInput(config),
  };
}

const toShownInput = (input: NonNullable<TaskPlan['command']['spec']['payload']>) =>
  input.kind === 'file' ? input : { kind: input.kind, bytes: Buffer.byteLength(input.text) };
