/** `inspect`: everything that is known about a task, whether it runs or has left a report. */

import type { CgroupUsage } from '../../cgroup/cgroup-driver.ts';
import type { TaskId } from '../../core/ids.ts';
import { monotonicMs } from '../../sys/clocks.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { Installation } from '../installation.ts';
import { findTask, type ListedTask } from '../records/list-tasks.ts';
import { readRecord } from '../records/read-record.ts';
import { readTimeLimit } from '../records/read-time-limit.ts';
import type { TaskRecord } from '../records/record.ts';
import { toTaskNotFound } from '../records/task-errors.ts';
import { recordedPlaces, type TaskPlaces } from '../records/task-places.ts';
import type { TaskResult } from '../result.ts';
import { type JsonObject, type ReportedTask, readReport, type TaskReport } from './report.ts';

/** One task, with everything that its files and the kernel say. May contain secrets: environment, arguments. */
export interface TaskInspection {
  readonly id: TaskId;
  /** As in `list`; `ended`: its report has the result; `lost`: its owner died, and the task was removed. */
  readonly state: ListedTask['state'] | 'ended' | 'lost';
  /** Host pid of the task's pid 1; null while it has none. */
  readonly pid: number | null;
  /** The task's record; null once the task is removed. */
  readonly record: TaskRecord | null;
  /** The task according to its report, without the spec; null without `log`. */
  readonly report: Omit<ReportedTask, 'spec'> | null;
  /** The task's resolved options. Without `log`, only those in its record and configuration; null before there is one, and after the removal. */
  readonly spec: JsonObject | null;
  /** The OCI configuration; null while there is none, and once the task is removed. */
  readonly config: JsonObject | null;
  /** Null once the task is removed. */
  readonly cgroup: InspectedCgroup | null;
  /** How long the command may still run; null if it does not run. */
  readonly timeLeftMs: number | null;
  /** The final result; null before the end, without `log`, and if the owner died. */
  readonly result: TaskResult | null;
  /** How the command ended, if known; also without a result. */
  readonly exit: TaskRecord['exit'] | null;
}

/** The cgroup of a task that still exists. */
export interface InspectedCgroup {
  readonly version: 1 | 2;
  /** Relative to the mount point of each hierarchy. */
  readonly path: string;
  /** The cgroup's folders in every hierarchy. */
  readonly folders: readonly string[];
  /** The limits in the OCI configuration: `memory`, `cpu`, `pids`, … */
  readonly limits: JsonObject | null;
  /** What the task has used so far; null while it has no cgroup. */
  readonly usage: CgroupUsage | null;
}

const MAX_CONFIG_BYTES = 16_777_216;

/** Inspects a task. Throws ERR_STACKSHIM_TASK_NOT_FOUND, ERR_STACKSHIM_RECORD_CORRUPT, ERR_STACKSHIM_FORMAT_NEWER. */
export function inspectTask(installation: Installation, id: TaskId): TaskInspection {
  const { layout } = installation;
  const record = readRecord(layout, id);
  const report = readReport(layout, id);
  const listed = record === undefined ? undefined : findTask(installation, id);
  if (record !== undefined && listed !== undefined) {
    return inspectLiving(installation, record, listed, report);
  }
  if (report === undefined) throw toTaskNotFound('inspect task', id);
  const { task, end, state } = report;
  return {
    id: task.id,
    state: state === 'open' ? 'removing' : state,
    pid: null,
    record: null,
    ...toReported(report),
    config: null,
    cgroup: null,
    timeLeftMs: null,
    result: end?.result ?? null,
    exit: end?.exit ?? null,
  };
}

function inspectLiving(
  installation: Installation,
  record: TaskRecord,
  listed: ListedTask,
  report: TaskReport | undefined,
): TaskInspection {
  const places = recordedPlaces(installation.layout, record);
  const config = readConfig(places);
  const limit = readTimeLimit(places);
  const isRunning = listed.state === 'running' && limit !== undefined;
  return {
    id: record.id,
    state: listed.state,
    pid: listed.pid,
    record,
    ...(report === undefined
      ? { report: null, spec: deriveSpec(record, config) }
      : toReported(report)),
    config,
    cgroup: inspectCgroup(installation, places, config),
    timeLeftMs: isRunning ? Math.max(0, limit.endsAtMs - monotonicMs()) : null,
    result: report?.end?.result ?? null,
    exit: record.exit ?? null,
  };
}

function toReported(report: TaskReport): Pick<TaskInspection, 'report' | 'spec'> {
  const { spec, ...task } = report.task;
  return { report: task, spec };
}

function inspectCgroup(
  { cgroups }: Installation,
  { cgroupsPath: path }: TaskPlaces,
  config: JsonObject | null,
): InspectedCgroup {
  const folders = cgroups.existing(path);
  const usage = folders.length === 0 ? null : cgroups.readUsage(path);
  const linux = asObject(config?.['linux']);
  return { version: cgroups.version, path, folders, limits: asObject(linux?.['resources']), usage };
}

/** Null if it is missing, being written or damaged. */
function readConfig({ bundle }: TaskPlaces): JsonObject | null {
  try {
    const text = readBoundedFile(`${bundle}/config.json`, { maxBytes: MAX_CONFIG_BYTES });
    return asObject(JSON.parse(text));
  } catch {
    return null;
  }
}

const asObject = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : null;

/** The options in the record and the OCI configuration, with the names and units of a report's spec, but fewer. Null without a configuration. */
function deriveSpec(record: TaskRecord, config: JsonObject | null): JsonObject | null {
  if (config === null) return null;
  const command = asObject(config['process']) ?? {};
  const linux = asObject(config['linux']) ?? {};
  return {
    stack: { name: record.stack, revision: record.revision },
    command: record.command,
    env: toEnvironment(command['env']),
    workdir: command['cwd'],
    user: command['user'],
    hostname: config['hostname'],
    ...(record.tenant === undefined ? {} : { tenant: record.tenant }),
    labels: record.labels,
    tty: command['terminal'] === true,
    readOnly: asObject(config['root'])?.['readonly'] === true,
    network: hasNamespace(linux, 'network') ? 'none' : 'host',
    userns: hasNamespace(linux, 'user') ? 'auto' : 'host',
    pid: hasNamespace(linux, 'pid') ? 'private' : 'host',
    noNewPrivileges: command['noNewPrivileges'] === true,
    runtime: record.runtime.path,
    limits: toLimits(asObject(linux['resources']) ?? {}),
    log: false,
  };
}

function toEnvironment(entries: unknown): JsonObject {
  if (!Array.isArray(entries)) return {};
  return Object.fromEntries(
    entries.map(String).map((entry) => {
      const equals = entry.indexOf('=');
      return [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

function hasNamespace(linux: JsonObject, type: string): boolean {
  const namespaces = linux['namespaces'];
  return Array.isArray(namespaces) && namespaces.some((one) => asObject(one)?.['type'] === type);
}

function toLimits(resources: JsonObject): JsonObject {
  const cpu = asObject(resources['cpu']) ?? {};
  const [quota, period] = [Number(cpu['quota']), Number(cpu['period'])];
  return {
    memoryBytes: asObject(resources['memory'])?.['limit'],
    pids: asObject(resources['pids'])?.['limit'],
    ...(quota > 0 && period > 0 ? { cpus: quota / period } : {}),
  };
}
