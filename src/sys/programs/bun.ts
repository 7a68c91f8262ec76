/** Programs started in the executable, by Bun itself: its copy of Node's module takes 2 ms to load and use. */
import type { Fd } from '../system.ts';
import { PROGRAM_UMASK, type StartProgram } from './contract.ts';
import { killGroup } from './kill-group.ts';

interface Subprocess {
  readonly pid: number;
  readonly exited: Promise<number>;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
}

interface SpawnOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdio: (Fd | 'ignore')[];
  readonly detached: boolean;
}

declare const Bun: { spawn(command: string[], options: SpawnOptions): Subprocess };

export const startProgram: StartProgram = (path, args, { env, stdio }) => {
  let child: Subprocess;
  // No other thread makes files meanwhile.
  const umask = process.umask(PROGRAM_UMASK);
  try {
    child = Bun.spawn([path, ...args], { cwd: '/', env, stdio: [...stdio], detached: true });
  } catch (error) {
    return { pid: undefined, exited: Promise.reject(error), killAll: () => undefined };
  } finally {
    process.umask(umask);
  }
  return {
    pid: child.pid,
    exited: child.exited.then(() => child.exitCode),
    killAll() {
      if (child.exitCode === null && child.signalCode === null) killGroup(child.pid);
    },
  };
};
