/** Devices of the host that a task may open, as docker's `--device` writes them. */
import { invalidField } from './invalid-field.ts';
import { isAtOrBelow, parseAbsolutePath } from './parse-path.ts';
import type { DeviceRequest } from './task-spec.ts';

const FOLDER = '/dev';
/** Paths that every task has. */
const OF_EVERY_TASK = [
  ...['null', 'zero', 'full', 'random', 'urandom', 'tty', 'console', 'ptmx', 'pts'],
  ...['shm', 'mqueue', 'fd', 'stdin', 'stdout', 'stderr'],
].map((name) => `${FOLDER}/${name}`);
const ALL = 'rwm';

/** Parses every device, each `HOST[:TASK][:ACCESS]`; no two may have the same path in the task. Throws ERR_STACKSHIM_SPEC_INVALID. */
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
  const access = isAccess(rest.at(-1)) ? rest.pop() : undefined;
  const [target = host, ...more] = rest;
  if (more.length > 0) {
    throw invalidField(field, 'not HOST, HOST:TASK or HOST:TASK:ACCESS, of r, w and m', text);
  }
  return {
    source: parseAbsolutePath(host, `${field} host`),
    target: parseTarget(target, `${field} task`),
    access: access ?? ALL,
  };
}

/** Of docker's letters, each once. */
const isAccess = (text: string | undefined): boolean =>
  text !== undefined && /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;

function parseTarget(path: string, field: string): string {
  const target = parseAbsolutePath(path, field);
  if (target === FOLDER || !isAtOrBelow(target, FOLDER)) {
    throw invalidField(field, `a device of a task must be below ${FOLDER}`, path);
  }
  const covered = OF_EVERY_TASK.find((known) => isAtOrBelow(target, known));
  if (covered === undefined) return target;
  throw invalidField(field, `every task has its own ${covered}`, path);
}
