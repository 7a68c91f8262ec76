/** Runs a program that says on standard error what went wrong, and waits for its end. */
import { closeSync } from 'node:fs';
import { linuxSystem } from './linux-system.ts';
import { openNullDevice } from './null-device.ts';
import { drainPipe } from './pipes.ts';
import type { SpawnRequest } from './posix-spawn.ts';
import { startProgram } from './start-program.ts';

/** The most that is kept of its standard error, which becomes a detail of an error. */
const SAID_BYTES = 4096;

export interface EndedProgram {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  /** The beginning of its standard error. */
  readonly said: string;
}

/** The program's standard input is empty, and its standard output is dropped. Rejects when the program could not be started. */
export async function runProgram(request: Omit<SpawnRequest, 'stdio'>): Promise<EndedProgram> {
  const silent = openNullDevice('both');
  const toClose: (() => void)[] = [() => closeSync(silent)];
  const close = () => {
    for (const one of toClose.splice(0)) one();
  };
  try {
    const [read, write] = linuxSystem.createPipe();
    toClose.push(() => linuxSystem.close(write));
    let said = '';
    const drain = drainPipe(read, (chunk) => {
      if (said.length < SAID_BYTES) said += Buffer.from(chunk).toString('utf8');
    });
    const program = startProgram({ ...request, stdio: [silent, silent, write] });
    await program.running.finally(close);
    const exitCode = await program.exited;
    // Processes that the program started may keep the pipe open.
    drain.finish();
    await drain.ended;
    return { exitCode, said: said.slice(0, SAID_BYTES) };
  } finally {
    close();
  }
}
