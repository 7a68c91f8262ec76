/** Passes the paths of a task's inputs to its command as arguments. Loaded only for tasks with `args`. */
import type { TaskId } from '../core/ids.ts';
import { CONFIG_FILE, PAYLOAD_FILE, TASK_DIR } from '../oci/build-mounts.ts';
import { invalidField } from '../spec/field-errors.ts';
import { parseCommand } from '../spec/parse-command.ts';
import type { CommandSpec } from '../spec/task-spec.ts';

const NO_PAYLOAD = { kind: 'text', text: '' } as const;

export interface NamedInputs {
  readonly spec: CommandSpec;
  /** Arguments after the command line. */
  readonly appended: readonly string[];
}

export interface NamedTask {
  readonly id: TaskId;
  /** Whether the task has code or a build step. */
  readonly hasCode: boolean;
}

/** Puts input paths into the command. If it names the payload, a task without one gets an empty one. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function toNamedSpec(spec: CommandSpec, task: NamedTask): NamedInputs {
  const { id } = task;
  if (spec.args === 'iron') {
    const named = { ...spec, payload: spec.payload ?? NO_PAYLOAD };
    return { spec: named, appended: toIronArguments(named, task) };
  }
  const { command, entrypoint } = spec;
  const words = [...command, ...(entrypoint ?? [])];
  const asksForPayload = words.some((word) => word.includes('{payload}'));
  const payload = spec.payload ?? (asksForPayload ? NO_PAYLOAD : undefined);
  const replace = (field: string, given: readonly string[]) =>
    parseCommand(
      given.map((word, index) => replaceNames(word, `${field}[${index}]`, spec, id)),
      field,
    );
  return {
    spec: {
      ...spec,
      command: replace('command', command),
      ...(entrypoint === undefined ? {} : { entrypoint: replace('entrypoint', entrypoint) }),
      ...(payload === undefined ? {} : { payload }),
    },
    appended: [],
  };
}

function replaceNames(word: string, field: string, spec: CommandSpec, id: TaskId): string {
  if (word.includes('{config}') && spec.config === undefined) {
    throw invalidField(field, 'names {config}, and the task has no config');
  }
  const values = { payload: PAYLOAD_FILE, config: CONFIG_FILE, id } as const;
  return word.replace(/\{(payload|config|id)\}/g, (_, name: keyof typeof values) => values[name]);
}

/** The form in which IronWorker passed the inputs. The folder's slash matters, because programs append a file's name to it. */
function toIronArguments({ config, scheduleId }: CommandSpec, { id, hasCode }: NamedTask) {
  return [
    ...(hasCode ? ['-d', `${TASK_DIR}/`] : []),
    ...['-e', 'production', '-id', id, '-payload', PAYLOAD_FILE],
    ...(config === undefined ? [] : ['-config', CONFIG_FILE]),
    ...(scheduleId === undefined ? [] : ['-schedule_id', scheduleId]),
  ];
}
