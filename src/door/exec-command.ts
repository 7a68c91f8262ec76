/** `exec` of the door, in a file of its own: a program that only executes a command in a task loads no code that runs tasks. */
import { parseTaskId } from '../core/ids.ts';
import { layoutFrom } from '../core/layout.ts';
import { type ExecResult, execInTask, type OwnExecOptions } from '../task/exec/exec-in-task.ts';
import { type Installation, openInstallation, requireRoot } from '../task/installation.ts';

type Command = OwnExecOptions & { readonly command: readonly string[] };

/** Executes a command in the installation that the environment names. */
export const execAlone = (id: string, command: Command): Promise<ExecResult> =>
  execCommand(() => openInstallation(layoutFrom({}, process.env)), id, command);

export async function execCommand(
  open: () => Installation,
  id: string,
  command: Command,
): Promise<ExecResult> {
  requireRoot('execute in task');
  return await execInTask(open(), parseTaskId(id), command);
}
