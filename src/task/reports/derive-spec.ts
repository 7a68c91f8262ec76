/** The options of a task without a report, as far as its record and its OCI configuration tell them. Pure. */
import type { TaskRecord } from '../records/record.ts';
import type { JsonObject } from './report.ts';

export const asObject = (value: unknown): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : null;

/** Has the names and units of a report's spec, and fewer fields. Null while there is no configuration. */
export function deriveSpec(record: TaskRecord, config: JsonObject | null): JsonObject | null {
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
