/** The content of `exec.json`: who executed a further command in a task, when, which command, and how it ended. */
import type { ErrorCode } from '../../core/error-codes.ts';
import type { TaskExit } from '../records/record.ts';

export const EXEC_VERSION = 1;
/** The file's name in the folder of the command. */
export const EXEC_FILE = 'exec.json';
/** Most further commands in one task: the task's result lists all of them. */
export const MAX_EXECS = 1_000;

/** A process of the host that executed a command in a task. */
export interface ExecCaller {
  readonly pid: number;
  /** Real user id. */
  readonly uid: number;
  /** The kernel's id of the user who logged in; null if the process belongs to no login. */
  readonly loginUid: number | null;
  /** The user id in SUDO_UID, which sudo(8) sets, but another program may have set; null if there is none. */
  readonly sudoUid: number | null;
}

/** A further command that was executed in a task. */
export interface TaskExec {
  /** The first 4,096 characters; an ellipsis stands for the rest. */
  readonly command: readonly string[];
  /** User in the task: `uid:gid`. */
  readonly user: string;
  readonly by: ExecCaller;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Null if the command was not started, or if the task ended before the command's end could be stored. */
  readonly exit: TaskExit | null;
  /** Why the command was not started; null if it was. */
  readonly error: ErrorCode | null;
}
