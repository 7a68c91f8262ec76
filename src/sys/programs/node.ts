/** Programs started by Node. */
import { spawn } from 'node:child_process';
import type { StartProgram } from './contract.ts';
import { killGroup } from './kill-group.ts';

export const startProgram: StartProgram = (path, args, { env, stdio }) => {
  const child = spawn(path, args, { cwd: '/', env, stdio: [...stdio], detached: true });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    // Not `close`: what the program started may inherit its descriptors and keep them open.
    child.once('exit', (exitCode) => resolve(exitCode));
  });
  return {
    pid: child.pid,
    exited,
    killAll() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      killGroup(child.pid);
    },
  };
};
