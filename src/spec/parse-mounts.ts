/** Parses mounts and devices in the syntax of docker's options: `--mount`, `--volume`, `--tmpfs`, `--device`. */
import { invalidField } from './field-errors.ts';
import { isAtOrBelow, parseAbsolutePath, parseMountTarget } from './parse-path.ts';
import { parseBytes } from './quantities.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';
import type { TaskInput } from './task-input.ts';
import type { BindRequest, DeviceRequest, TaskSpec, TmpfsRequest } from './task-spec.ts';

/** Parses `mounts`, `volumes` and `tmpfs`. No two may have the same target. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseMounts(given: TaskInput): Pick<TaskSpec, 'mounts' | 'tmpfs'> {
  const mounts: BindRequest[] = [];
  const tmpfs: TmpfsRequest[] = [];
  for (const [i, entry] of (given.mounts ?? []).entries()) {
    const field = `mounts[${i}]`;
    const mount = typeof entry === 'string' ? readMountOption(entry, field) : entry;
    if (mount.type === 'bind') mounts.push(toBindRequest(mount, field));
    else tmpfs.push(toTmpfsRequest(mount, field));
  }
  for (const [i, entry] of (given.volumes ?? []).entries()) {
    mounts.push(parseVolumeOption(entry, `volumes[${i}]`));
  }
  for (const [i, entry] of (given.tmpfs ?? []).entries()) {
    tmpfs.push(parseTmpfsOption(entry, `tmpfs[${i}]`));
  }
  if (mounts.length > SPEC_BOUNDS.mounts) {
    throw invalidField('mounts', `more than ${SPEC_BOUNDS.mounts} together with volumes`);
  }
  const hasCode = (given.code ?? given.build) !== undefined;
  const taken = new Set(hasCode ? ['/task'] : []);
  for (const { target } of [...mounts, ...tmpfs]) {
    if (taken.has(target)) throw invalidField('mounts', 'two mounts have this target', target);
    taken.add(target);
  }
  return { mounts, tmpfs };
}

const ALIASES = new Map([
  ['src', 'source'],
  ['dst', 'target'],
  ['destination', 'target'],
  ['ro', 'readonly'],
]);
const KEYS = new Map([
  ['bind', ['type', 'source', 'target', 'readonly']],
  ['tmpfs', ['type', 'target', 'tmpfs-size', 'tmpfs-mode']],
]);

export interface BindInput {
  readonly type: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readonly?: boolean | undefined;
}

export interface TmpfsInput {
  readonly type: 'tmpfs';
  readonly target: string;
  readonly size?: string | number | undefined;
  readonly mode?: string | undefined;
  readonly exec?: boolean | undefined;
}

/** A bind of a host file or folder, or a tmpfs, at `target`. */
export type MountInput = BindInput | TmpfsInput;

/**
 * Parses `type=bind,source=/h,target=/c[,readonly]` or `type=tmpfs,target=/c[,tmpfs-size=16m][,tmpfs-mode=1777]`, with docker's short
 * names. A path with a comma needs the object form of a task spec. Throws ERR_STACKSHIM_SPEC_INVALID.
 */
function readMountOption(text: string, field: string): MountInput {
  const given = keysOf(text, field);
  const type = given.get('type') ?? '';
  const known = KEYS.get(type);
  if (known === undefined) throw invalidField(field, 'its type is not bind or tmpfs', text);
  const unknown = [...given.keys()].find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw invalidField(field, `a ${type} mount has no option ${JSON.stringify(unknown)}`, text);
  }
  const target = given.get('target');
  if (target === undefined) throw invalidField(field, 'lacks target=', text);
  if (type === 'tmpfs') {
    const size = given.get('tmpfs-size');
    const mode = given.get('tmpfs-mode');
    return { type, target, size, mode, exec: false };
  }
  const source = given.get('source');
  if (source === undefined) throw invalidField(field, 'lacks source=', text);
  const readonly = parseFlag(given.get('readonly') ?? 'false', field);
  return { type: 'bind', source, target, readonly };
}

/** Parses `HOST:TASK[:ro|rw]`. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseVolumeOption(text: string, field: string): BindRequest {
  const [source, target, mode = 'rw', ...rest] = text.split(':');
  if (source === undefined || target === undefined || rest.length > 0) {
    throw invalidField(field, 'not HOST:TASK or HOST:TASK:ro', text);
  }
  if (mode !== 'ro' && mode !== 'rw') throw invalidField(field, 'its mode is not ro or rw', text);
  return toBindRequest({ source, target, readonly: mode === 'ro' }, field);
}

/** Parses `TARGET[:size=16m][,mode=1777][,exec]`. `noexec` is the default; `rw`, `nosuid` and `nodev` change nothing. */
export function parseTmpfsOption(text: string, field: string): TmpfsRequest {
  const at = text.indexOf(':');
  const target = at === -1 ? text : text.slice(0, at);
  let size: string | undefined;
  let mode: string | undefined;
  let exec = false;
  for (const option of at === -1 ? [] : text.slice(at + 1).split(',')) {
    if (option.startsWith('size=')) size = option.slice(5);
    else if (option.startsWith('mode=')) mode = option.slice(5);
    else if (option === 'exec') exec = true;
    else if (option === 'noexec') exec = false;
    else if (!['rw', 'nosuid', 'nodev'].includes(option)) {
      throw invalidField(field, `${JSON.stringify(option)} is not an option of a tmpfs here`, text);
    }
  }
  return toTmpfsRequest({ target, size, mode, exec }, field);
}

function toBindRequest(input: Omit<BindInput, 'type'>, field: string): BindRequest {
  return {
    source: parseAbsolutePath(input.source, `${field} source`),
    target: parseMountTarget(input.target, `${field} target`),
    readOnly: input.readonly ?? false,
  };
}

function toTmpfsRequest(input: Omit<TmpfsInput, 'type'>, field: string): TmpfsRequest {
  const { size, mode, exec = false } = input;
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode)) {
    throw invalidField(`${field} mode`, 'not an octal mode such as 1777', mode);
  }
  return {
    target: parseMountTarget(input.target, `${field} target`),
    sizeBytes: size === undefined ? undefined : parseBytes(size, `${field} size`, { min: 4096 }),
    mode,
    exec,
  };
}

function keysOf(text: string, field: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const part of text.split(',')) {
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(part) ?? [];
    const key = ALIASES.get(name) ?? name;
    if (value === undefined && key !== 'readonly') {
      throw invalidField(field, `${JSON.stringify(part)} is not KEY=VALUE`, text);
    }
    if (given.has(key)) throw invalidField(field, `names ${key} twice`, text);
    given.set(key, value ?? 'true');
  }
  return given;
}

function parseFlag(text: string, field: string): boolean {
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw invalidField(field, 'readonly is not true or false', text);
}

const FOLDER = '/dev';
/** Paths that every task has. */
const OF_EVERY_TASK = [
  ...['null', 'zero', 'full', 'random', 'urandom', 'tty', 'console', 'ptmx', 'pts'],
  ...['shm', 'mqueue', 'fd', 'stdin', 'stdout', 'stderr'],
].map((name) => `${FOLDER}/${name}`);

/** Parses devices, each `HOST[:TASK][:ACCESS]`. No two may have the same path in the task. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseDevices(texts: readonly string[]): readonly DeviceRequest[] {
  const taken = new Set<string>();
  return texts.map((text, i) => {
    const device = parseDevice(text, `devices[${i}]`);
    if (taken.has(device.target)) {
      throw invalidField(`devices[${i}]`, 'two devices have this path in the task', device.target);
    }
    taken.add(device.target);
    return device;
  });
}

function parseDevice(text: string, field: string): DeviceRequest {
  const [host = '', ...rest] = text.split(':');
  const access = (isAccess(rest.at(-1)) && rest.pop()) || 'rwm';
  const [target = host, ...more] = rest;
  if (more.length > 0) {
    throw invalidField(field, 'not HOST, HOST:TASK or HOST:TASK:ACCESS, of r, w and m', text);
  }
  const source = parseAbsolutePath(host, `${field} host`);
  const path = parseAbsolutePath(target, `${field} task`);
  if (path === FOLDER || !isAtOrBelow(path, FOLDER)) {
    throw invalidField(`${field} task`, `a device of a task must be below ${FOLDER}`, target);
  }
  const covered = OF_EVERY_TASK.find((known) => isAtOrBelow(path, known));
  if (covered === undefined) return { source, target: path, access };
  throw invalidField(`${field} task`, `every task has its own ${covered}`, target);
}

/** Whether the text consists of docker's letters, each at most once. */
const isAccess = (text: string | undefined): boolean =>
  text !== undefined && /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
