/** unknown -> TaskSpec: where every task comes in, whether from the command line, the library, a file or a queue. */
import { parseTaskId, parseTenantName } from '../core/ids.ts';
import { invalidField } from './invalid-field.ts';
import { parseBytes } from './parse-bytes.ts';
import { parseCapability } from './parse-capability.ts';
import { parseDevices } from './parse-device.ts';
import { parseDisk } from './parse-disk.ts';
import { parseDuration } from './parse-duration.ts';
import { checkEnv } from './parse-env.ts';
import { checkLabels } from './parse-labels.ts';
import { parseMounts } from './parse-mounts.ts';
import { parseCount, parseCpus } from './parse-number.ts';
import { parseAbsolutePath, parsePath } from './parse-path.ts';
import { parseSecurityOpts } from './parse-security-opt.ts';
import { parseSignal } from './parse-signal.ts';
import { parseStackReference } from './parse-stack-reference.ts';
import { parseThrottles } from './parse-throttle.ts';
import { parseUlimit } from './parse-ulimit.ts';
import { parseUser } from './parse-user.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import { parseTaskInput, type TaskInput } from './task-input.ts';
import type { FileInput, TaskLimits, TaskSpec } from './task-spec.ts';
import { withoutUndefined } from './without-undefined.ts';

const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$/;
const BUNDLE = /^[a-z0-9][a-z0-9-]{0,31}$/;
const RUNTIMES = ['runc', 'crun', 'runsc'];

/**
 * Parses a task as a user gave it ({@link TaskInput}): every quantity in its base unit, paths normalised, defaults that need no policy filled in.
 * Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` for the first field at fault; unknown fields are refused.
 */
export function parseTaskSpec(input: unknown): TaskSpec {
  const given = parseTaskInput(input);
  const { code, user, workdir, hostname } = given;
  return withoutUndefined({
    id: given.id === undefined ? undefined : parseTaskId(given.id),
    stack: parseStackReference(given.stack, 'stack'),
    command: parseCommand(given.command ?? [], 'command'),
    entrypoint: given.entrypoint === undefined ? undefined : parseEntrypoint(given.entrypoint),
    env: checked(given.env ?? {}, checkEnv, 'env'),
    workdir: workdir === undefined ? undefined : parseAbsolutePath(workdir, 'workdir'),
    user: user === undefined ? undefined : parseUser(user, 'user'),
    hostname: hostname === undefined ? undefined : matching(hostname, HOSTNAME, 'hostname'),
    tenant: given.tenant === undefined ? undefined : parseTenantName(given.tenant),
    limits: parseLimits(given),
    throttles: parseThrottles(given),
    oomGroup: given.oomGroup ?? false,
    ulimits: (given.ulimits ?? []).map((ulimit, i) => parseUlimit(ulimit, `ulimits[${i}]`)),
    ...parseMounts(given),
    devices: parseDevices(given.devices ?? []),
    readOnly: given.readOnly ?? false,
    network: oneOf(given.network ?? 'none', ['none', 'host'], 'network'),
    capAdd: (given.capAdd ?? []).map((name, i) => parseCapability(name, `capAdd[${i}]`)),
    capDrop: (given.capDrop ?? []).map((name, i) => parseCapability(name, `capDrop[${i}]`)),
    ...parseSecurityOpts(given.securityOpt ?? [], 'securityOpt'),
    ...parseNamespaces(given),
    init: given.init ?? false,
    labels: checked(given.labels ?? {}, checkLabels, 'labels'),
    tty: given.tty ?? false,
    interactive: given.interactive ?? false,
    stopSignal:
      given.stopSignal === undefined ? undefined : parseSignal(given.stopSignal, 'stopSignal'),
    runtime: parseRuntime(given.runtime ?? 'runc'),
    bundle: given.bundle === undefined ? undefined : matching(given.bundle, BUNDLE, 'bundle'),
    code: code === undefined ? undefined : parsePath(code, 'code'),
    payload: parsePayload(given),
    config: parseConfigFile(given.configFile),
    keep: given.keep ?? false,
    remove: oneOf(given.remove ?? 'sync', ['sync', 'async'], 'remove'),
    captureBytes: parseBytes(given.captureBytes ?? 1_048_576, 'captureBytes', {
      max: SPEC_BOUNDS.captureBytesMax,
    }),
  });
}

/** The kernel shows the host's processes to no user namespace but the host's: a /proc of theirs cannot be mounted in another. */
function parseNamespaces(given: TaskInput): Pick<TaskSpec, 'pid' | 'userns'> {
  const userns = oneOf(given.userns ?? 'auto', ['auto', 'host'], 'userns');
  const pid = oneOf(given.pid ?? 'private', ['private', 'host'], 'pid');
  if (pid === 'host' && userns !== 'host') {
    throw invalidField('pid', 'host needs userns host as well', pid);
  }
  return { pid, userns };
}

/** An empty text is docker's way to say: none. */
function parseEntrypoint(entrypoint: string | readonly string[]): readonly string[] {
  const words = typeof entrypoint === 'string' ? [entrypoint] : entrypoint;
  return words.length === 1 && words[0] === '' ? [] : parseCommand(words, 'entrypoint');
}

function parseCommand(command: readonly string[], field: string): readonly string[] {
  let total = 0;
  for (const [i, argument] of command.entries()) {
    if (argument.includes('\0')) throw invalidField(`${field}[${i}]`, 'an argument with a NUL');
    const bytes = Buffer.byteLength(argument);
    if (bytes > SPEC_BOUNDS.argumentBytes) {
      throw invalidField(`${field}[${i}]`, `longer than ${SPEC_BOUNDS.argumentBytes} bytes`);
    }
    total += bytes + 1;
  }
  if (total > SPEC_BOUNDS.commandBytes) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.commandBytes} bytes in all`);
  }
  if (command[0] === '') throw invalidField(`${field}[0]`, 'an empty name');
  return command;
}

function parseLimits(given: TaskInput): TaskLimits {
  const { memory, cpus, pidsLimit, timeout, outputLimit, cpuTime, cpuShares, disk } = given;
  const { stopTimeout } = given;
  const shares = { min: SPEC_BOUNDS.cpuSharesMin, max: SPEC_BOUNDS.cpuSharesMax };
  const count = { min: 1, max: SPEC_BOUNDS.pidsMax };
  const wall = { min: 1, max: SPEC_BOUNDS.timeoutMsMax };
  const grace = { min: 0, max: SPEC_BOUNDS.stopTimeoutMsMax };
  return withoutUndefined({
    memoryBytes:
      memory === undefined
        ? undefined
        : parseBytes(memory, 'memory', { min: SPEC_BOUNDS.memoryBytesMin }),
    cpus: cpus === undefined ? undefined : parseCpus(cpus, 'cpus'),
    pids: pidsLimit === undefined ? undefined : parseCount(pidsLimit, 'pidsLimit', count),
    timeoutMs: timeout === undefined ? undefined : parseDuration(timeout, 'timeout', wall),
    stopTimeoutMs:
      stopTimeout === undefined ? undefined : parseDuration(stopTimeout, 'stopTimeout', grace),
    outputBytes:
      outputLimit === undefined ? undefined : parseBytes(outputLimit, 'outputLimit', { min: 1 }),
    cpuTimeMs: cpuTime === undefined ? undefined : parseDuration(cpuTime, 'cpuTime', wall),
    cpuShares: cpuShares === undefined ? undefined : parseCount(cpuShares, 'cpuShares', shares),
    diskBytes: disk === undefined ? undefined : parseDisk(disk, 'disk'),
  });
}

function parsePayload({ payload, payloadFile }: TaskInput): FileInput | undefined {
  if (payload !== undefined && payloadFile !== undefined) {
    throw invalidField('payload', 'given together with payloadFile; give one of them');
  }
  if (payloadFile !== undefined)
    return { kind: 'file', path: parsePath(payloadFile, 'payloadFile') };
  if (payload === undefined) return undefined;
  if (Buffer.byteLength(payload) > SPEC_BOUNDS.payloadBytes) {
    throw invalidField('payload', `longer than ${SPEC_BOUNDS.payloadBytes} bytes; use payloadFile`);
  }
  return { kind: 'text', text: payload };
}

function parseConfigFile(path: string | undefined): FileInput | undefined {
  return path === undefined ? undefined : { kind: 'file', path: parsePath(path, 'configFile') };
}

function parseRuntime(runtime: string): string {
  if (RUNTIMES.includes(runtime)) return runtime;
  if (runtime.startsWith('/')) return parseAbsolutePath(runtime, 'runtime');
  throw invalidField('runtime', 'not runc, crun, runsc or an absolute path', runtime);
}

function oneOf<const T extends string>(value: string, allowed: readonly T[], field: string): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw invalidField(field, `not ${allowed.join(' or ')}`, value);
  return found;
}

function matching(value: string, pattern: RegExp, field: string): string {
  if (pattern.test(value)) return value;
  throw invalidField(field, 'not 1 to 64 letters, digits and inner punctuation', value);
}

function checked<T>(value: T, check: (value: T, field: string) => void, field: string): T {
  check(value, field);
  return value;
}
