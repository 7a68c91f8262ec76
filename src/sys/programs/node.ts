/** Programs started by Node. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PROGRAM_UMASK, type StartProgram } from './contract.ts';
import { killGroup } from './kill-group.ts';

export const startProgram: StartProgram = (path, args, { env, stdio }) => {
  const [program = path, ...rest] = toCommand(path, args);
  const child = spawn(program, rest, { cwd: '/', env, stdio: [...stdio], detached: true });
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

const WITH_UMASK = `umask 0${PROGRAM_UMASK.toString(8)}; exec "$@"`;

/**
 * Node gives a child the umask of the process, which belongs to the host program: other threads of it make files at any moment. Where it is not
 * the usual one, a shell that becomes the program sets another.
 */
function toCommand(path: string, args: readonly string[]): readonly string[] {
  const isUsual = readUmask() === PROGRAM_UMASK;
  return isUsual ? [path, ...args] : ['/bin/sh', '-c', WITH_UMASK, 'sh', path, ...args];
}

/** `process.umask()` sets another one for a moment. */
function readUmask(): number | undefined {
  const octal = /^Umask:\t(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return octal === undefined ? undefined : Number.parseInt(octal, 8);
}
