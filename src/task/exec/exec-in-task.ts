/** Executes a further command in a running task of any owner, and waits for the command's end. */
import { hastenAttach } from '../../cgroup/hasten-attach.ts';
import { toStackshimError } from '../../core/errors.ts';
import type { TaskId } from '../../core/ids.ts';
import type { Installation } from '../installation.ts';
import { holdErrors, isEmitter } from '../streams/caller-streams.ts';
import { ExecFolder } from './exec-folder.ts';
import type { ExecOptions } from './exec-options.ts';
import { findExecTarget } from './find-exec-target.ts';
import { type EndedExec, runExec } from './run-exec.ts';

/** How a further command in a task ended. */
export interface ExecResult extends EndedExec {
  /** The task's id. */
  readonly id: TaskId;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** Options with fields that the library does not offer. */
export interface OwnExecOptions extends ExecOptions {
  /** Gets the command's host pid once the command runs, if it is a process of the host, and undefined once the command has ended. */
  readonly onProcess?: (pid: number | undefined) => void;
}

/** Executes a command to its end and passes on its output. Rejects like `findExecTarget` and `runExec`. The task neither notices nor waits. */
export async function execInTask(
  installation: Installation,
  id: TaskId,
  { command, onProcess, ...options }: OwnExecOptions & { readonly command: readonly string[] },
): Promise<ExecResult> {
  // Fire and forget: speeds up the runtime's later cgroup move.
  void hastenAttach();
  const { stdin, stdout, stderr } = options;
  // Listen at once: a stream may fail while the command is planned or started.
  const release = [stdin, stdout, stderr].flatMap((each) =>
    isEmitter(each) ? holdErrors(each) : [],
  );
  const operation = `execute in task ${id}`;
  try {
    const target = findExecTarget(installation, id);
    const folder = new ExecFolder(target.places, { tty: options.tty === true });
    const startedAt = new Date().toISOString();
    try {
      const context = { command, options, folder, onProcess, startedAt };
      const { exitCode, signal, error, output } = await runExec(installation, target, context);
      const finishedAt = new Date().toISOString();
      return { id, exitCode, signal, error, startedAt, finishedAt, output };
    } catch (thrown) {
      const error = toStackshimError(thrown, 'ERR_STACKSHIM_SYSTEM', operation);
      folder.tell({ error: error.code });
      throw error;
    } finally {
      folder.close();
    }
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', operation);
  } finally {
    for (const letGo of release) letGo();
  }
}
