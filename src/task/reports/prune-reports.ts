/** Removes reports of ended tasks, oldest first, when there are more than the policy keeps. */
import {
  existsSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { unlessMissing } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import { type Layout, reportDir, reportsDir, taskDir } from '../../core/layout.ts';
import type { ReportTerms } from '../../spec/policy.ts';
import { namesIn } from '../../sys/files.ts';
import { bootId, isOwnerAlive, ownIdentity } from '../../sys/processes.ts';
import type { Installation } from '../installation.ts';
import { listTaskIds } from '../records/read-record.ts';
import { parseUnfinishedName, unfinishedName } from '../records/record.ts';
import { isReportOpen, listReportIds } from './report.ts';
import { reportPlaces } from './report-places.ts';

export interface PrunedReports {
  readonly ids: readonly TaskId[];
  readonly bytes: number;
}

interface StoredReport {
  readonly id: TaskId;
  readonly changedAtMs: number;
  readonly bytes: number;
  readonly isOpen: boolean;
}

/** Time between looks at all reports; a look reads the sizes of their files. */
const LOOK_INTERVAL_MS = 60_000;
const BLOCK_BYTES = 512;

/** A look at too many reports makes room for this part (1/20) of the maximum, so that not every end of a task needs a look. */
const ROOM_PART = 20;

/** Called at a task's end: looks at all reports once a minute, or if there are more than the policy keeps, and then makes room for the next ones. */
export async function pruneSometimes(
  { layout }: Pick<Installation, 'layout'>,
  terms: ReportTerms,
): Promise<void> {
  const stamp = `${reportsDir(layout)}/.looked`;
  const lookedAt = lstatSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const now = Date.now();
  const isRecent = lookedAt <= now && now - lookedAt < LOOK_INTERVAL_MS;
  if (isRecent) {
    // Count without reading each report.
    const existing = new Set<string>(listTaskIds(layout));
    const ended = listReportIds(layout).filter((id) => !existing.has(id));
    if (ended.length <= terms.count) return;
  }
  if (lookedAt === 0) writeFileSync(stamp, '', { mode: 0o600 });
  else utimesSync(stamp, new Date(now), new Date(now));
  const room = isRecent ? Math.floor(terms.count / ROOM_PART) : 0;
  await pruneReports(layout, { ...terms, count: terms.count - room });
}

/** Removes reports beyond the terms; those of existing tasks stay. With `dryRun`, only finds out which. */
export async function pruneReports(
  layout: Layout,
  terms: ReportTerms,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<PrunedReports> {
  if (!dryRun) removeUnfinishedReports(layout);
  const stored = listReportIds(layout).flatMap(
    (id) => unlessMissing(() => measure(layout, id)) ?? [],
  );
  const excess = chooseExcess(stored, terms, Date.now());
  if (!dryRun) for (const { id } of excess) await removeReport(layout, id);
  const bytes = excess.reduce((sum, one) => sum + one.bytes, 0);
  return { ids: excess.map(({ id }) => id), bytes };
}

/** The reports to remove; the newest stay. Open reports stay and do not count: logs of running tasks would push out each result at once. */
function chooseExcess(
  stored: readonly StoredReport[],
  { count, bytes, ageMs }: ReportTerms,
  now: number,
): readonly StoredReport[] {
  const closed = stored.filter(({ isOpen }) => !isOpen);
  closed.sort((one, other) => other.changedAtMs - one.changedAtMs);
  let [keptCount, keptBytes] = [0, 0];
  return closed.filter((report) => {
    keptCount += 1;
    keptBytes += report.bytes;
    return keptCount > count || keptBytes > bytes || now - report.changedAtMs > ageMs;
  });
}

function measure(layout: Layout, id: TaskId): StoredReport {
  const dir = reportDir(layout, id);
  const sizes = readdirSync(dir).map((name) => {
    const stat = lstatSync(`${dir}/${name}`, { throwIfNoEntry: false });
    return stat === undefined ? 0 : stat.blocks * BLOCK_BYTES;
  });
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return { id, changedAtMs: lstatSync(dir).mtimeMs, bytes, isOpen: isNeeded(layout, id) };
}

/** Whether the task still exists, or its owner has yet to store its end. False for a damaged report of a task that is gone. */
function isNeeded(layout: Layout, id: TaskId): boolean {
  if (existsSync(taskDir(layout, id))) return true;
  if (!existsSync(reportPlaces(reportDir(layout, id)).draftFile)) return false;
  return isReportOpen(layout, id);
}

/** Removes a report atomically. False if there is none. */
export async function removeReport(layout: Layout, id: TaskId): Promise<boolean> {
  const retired = `${reportsDir(layout)}/${unfinishedName(ownIdentity(), id)}`;
  const retire = () => {
    renameSync(reportDir(layout, id), retired);
    return true;
  };
  if (unlessMissing(retire) === undefined) return false;
  await rm(retired, { recursive: true, force: true });
  return true;
}

/** Removes report folders whose creator or remover died halfway. */
export function removeUnfinishedReports(layout: Layout): void {
  for (const name of namesIn(reportsDir(layout))) {
    const owner = parseUnfinishedName(name);
    if (owner === undefined || isOwnerAlive({ ...owner, bootId: bootId() })) continue;
    rmSync(`${reportsDir(layout)}/${name}`, { recursive: true, force: true });
  }
}
