/** A task's environment: variables of the image, of stackshim, and of the caller. */
import type { TaskId } from '../core/ids.ts';
import { CONFIG_FILE, PAYLOAD_FILE, TASK_DIR } from './task-paths.ts';

/** The PATH if the image sets none; the same as docker's. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface TaskEnvInput {
  readonly imageEnv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly id: TaskId;
  readonly hostname: string;
  readonly hasCode: boolean;
  readonly hasPayload: boolean;
  readonly hasConfig: boolean;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly tty: boolean;
  /** The user's home folder; `/` when unknown. */
  readonly home?: string | undefined;
}

/**
 * `K=V` entries, each name once. Later ones win: PATH, HOSTNAME and TERM (with a tty); the image's; TASK_ID, TASK_DIR, PAYLOAD_FILE,
 * CONFIG_FILE, TASK_TIMEOUT (whole seconds, rounded up), TASK_MEMORY (bytes); the caller's. HOME is the user's if none of them sets it.
 */
export function buildTaskEnv(input: TaskEnvInput): readonly string[] {
  const env = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', input.hostname],
  ]);
  if (input.tty) env.set('TERM', 'xterm');
  for (const entry of input.imageEnv) {
    const at = entry.indexOf('=');
    // An image's entry with an empty name or a NUL cannot be passed to any program.
    if (at > 0 && !entry.includes('\0')) env.set(entry.slice(0, at), entry.slice(at + 1));
  }
  env.set('TASK_ID', input.id);
  // An image that sets one of these must not make a task believe that it has a file.
  setOrDelete(env, 'TASK_DIR', input.hasCode ? TASK_DIR : undefined);
  setOrDelete(env, 'PAYLOAD_FILE', input.hasPayload ? PAYLOAD_FILE : undefined);
  setOrDelete(env, 'CONFIG_FILE', input.hasConfig ? CONFIG_FILE : undefined);
  env.set('TASK_TIMEOUT', String(Math.ceil(input.timeoutMs / 1000)));
  env.set('TASK_MEMORY', String(input.memoryBytes));
  for (const [name, value] of Object.entries(input.env)) env.set(name, value);
  if (!env.has('HOME')) env.set('HOME', input.home ?? '/');
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

function setOrDelete(env: Map<string, string>, name: string, value: string | undefined): void {
  if (value === undefined) env.delete(name);
  else env.set(name, value);
}
