/** Programs that are started and waited for, as both engines (`node.ts`, `bun.ts`) offer it. `#programs` picks one. */
import type { Fd } from '../system.ts';

/** What a runtime makes in a task is for the task's users, whatever the caller keeps for itself. */
export const PROGRAM_UMASK = 0o022;

export interface ProgramOptions {
  /** The whole environment of the program. */
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors 0, 1, 2 and so on of the program; the caller closes its copies. */
  readonly stdio: readonly (Fd | 'ignore')[];
}

export interface StartedProgram {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** Resolves to the exit code, null when a signal ended it. Rejects when it could not be started. */
  readonly exited: Promise<number | null>;
  /** Kills it and what it started; nothing once it has ended. */
  killAll(): void;
}

/** In `/`, with {@link PROGRAM_UMASK}, as the leader of a session of its own: an interrupt at the caller's terminal does not reach it. */
export type StartProgram = (
  path: string,
  args: readonly string[],
  options: ProgramOptions,
) => StartedProgram;
