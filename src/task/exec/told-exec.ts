/** What is told of a further command in a task: who executed it, when, what, and how it ended. */
import type { ErrorCode } from '../../core/error-codes.ts';
import type { TaskExit } from '../records/record.ts';

export const EXEC_VERSION = 1;
/** The name of the file in the folder of the command. */
export const EXEC_FILE = 'exec.json';
/** The most commands in one task, because the task's result tells of all of them. */
export const MAX_EXECS = 1_000;

/** A process of the host that executed a command in a task. */
export interface ExecCaller {
  readonly pid: number;
  /** Its real user id. */
  readonly uid: number;
  /** The user who logged in, as the kernel knows it; null: the process belongs to no login. */
  readonly loginUid: number | null;
  /** The user id that sudo(8) gave the process in SUDO_UID, which another program may have set; null: none. */
  readonly sudoUid: number | null;
}

/** A further command that was executed in a task. */
export interface TaskExec {
  /** Its first 4,096 characters; an ellipsis stands for the rest. */
  readonly command: readonly string[];
  /** Its user in the task: `uid:gid`. */
  readonly user: string;
  readonly by: ExecCaller;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Null: the command was not started, or the task ended before anybody could tell the command's end. */
  readonly exit: TaskExit | null;
  /** Why the command was not started; null: it was. */
  readonly error: ErrorCode | null;
}
