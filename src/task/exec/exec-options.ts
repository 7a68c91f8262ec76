/** The options of a further command in a running task, and their only parser. */
import type { Readable, Writable } from 'node:stream';
import { listOf, objectOf, optional, type Reader, text } from '../../core/read-fields.ts';
import { invalidField, readInput } from '../../spec/field-errors.ts';
import { COMMAND_OPTIONS } from '../../spec/options/command-options.ts';
import { HANDLING_OPTIONS } from '../../spec/options/handling-options.ts';
import { SPEC_BOUNDS } from '../../spec/spec-bounds.ts';
import { requireStreams } from '../streams/caller-streams.ts';
import type { OutputSink } from '../streams/output-sink.ts';
import type { TaskTerminal } from '../streams/terminal-streams.ts';

/** How a further command is executed in a running task. All fields are optional. */
export interface ExecOptions {
  /** Variables in addition to those of the task's own command. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the task. Default: that of the task's own command. */
  readonly workdir?: string;
  /** `name|uid[:group|gid]`; names are looked up in the image. Default: the user of the task's own command. */
  readonly user?: string;
  /** Gives the command a terminal. Its output then counts as stdout. */
  readonly tty?: boolean;
  /** With `tty`: the terminal that the command's terminal follows. */
  readonly terminal?: TaskTerminal;
  /** The command's input. Default: none. The stream is neither ended nor destroyed. */
  readonly stdin?: Readable;
  /** Receives output while the command runs. Sinks are not ended. */
  readonly stdout?: Writable | OutputSink;
  readonly stderr?: Writable | OutputSink;
  /** Whether to keep output for the result. Default: true unless `stdout` or `stderr` is given. */
  readonly capture?: boolean;
  /** How many bytes of each stream a capture keeps. Default: `1m`. */
  readonly captureBytes?: string | number;
  /** An abort sends TERM, or the signal in the reason (`abort('SIGINT')`), to the command and its process group; KILL follows after 10 seconds. */
  readonly signal?: AbortSignal;
  /** An abort sends KILL at once. */
  readonly killSignal?: AbortSignal;
}

/** The checked fields that describe the command. */
export interface ExecRequest {
  /** At least one element. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string | undefined;
  readonly user: string | undefined;
  readonly tty: boolean;
  readonly captureBytes: number;
}

const anything: Reader<unknown> = (value) => value;
const { env, workdir, user, tty } = COMMAND_OPTIONS;
const { captureBytes } = HANDLING_OPTIONS;

const options = objectOf<{ readonly [F in keyof ExecOptions]?: unknown }>({
  env: optional(env.value.read),
  workdir: optional(workdir.value.read),
  user: optional(user.value.read),
  tty: optional(tty.value.read),
  captureBytes: optional(captureBytes.value.read),
  terminal: anything,
  stdin: anything,
  stdout: anything,
  stderr: anything,
  capture: anything,
  signal: anything,
  killSignal: anything,
});

const words = listOf(text, SPEC_BOUNDS.commandElements);

/** Checks a command and its options. Throws ERR_STACKSHIM_SPEC_INVALID, which names the first invalid field. */
export function parseExec(command: unknown, given: ExecOptions): ExecRequest {
  readInput(options, given, 'options');
  requireStreams(given, { interactive: given.stdin !== undefined });
  const { value } = COMMAND_OPTIONS.command;
  const parsed = value.parse(readInput(words, command, 'command'), 'command');
  if (parsed.length === 0) throw invalidField('command', 'none was given');
  const { workdir: folder, user: name, captureBytes: kept = captureBytes.absent } = given;
  return {
    command: parsed,
    env: env.value.parse(given.env ?? {}, 'env'),
    workdir: folder === undefined ? undefined : workdir.value.parse(folder, 'workdir'),
    user: name === undefined ? undefined : user.value.parse(name, 'user'),
    tty: given.tty ?? false,
    captureBytes: captureBytes.value.parse(kept, 'captureBytes'),
  };
}
