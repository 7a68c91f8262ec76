/** Programs that a script starts in the background: waited for until they are ready, ended with the script. */
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { isStopping, startInBackground } from './run-program.mjs';

/** @typedef {{end: () => Promise<void>, ended: Promise<void>}} Background */

const LOOK_EVERY_MS = 100;

/**
 * Resolves once the program is ready; rejects with the end of its output if it ends before, or is not ready in time.
 * @param {readonly string[]} command
 * @param {{logFile: string, isReady: () => Promise<boolean>, limitMs: number, env?: Record<string, string>, user?: string}} options
 * @returns {Promise<Background>} `end` sends TERM and waits, as long as that takes
 */
export async function startAndAwait(command, { logFile, isReady, limitMs, env, user }) {
  const output = openSync(logFile, 'a', 0o600);
  const child = startInBackground(command, { output, ...(env && { env }), ...(user && { user }) });
  closeSync(output);
  let isOver = false;
  const ended = once(child, 'exit').then(
    () => {
      isOver = true;
    },
    () => {
      isOver = true;
    },
  );
  const end = async () => {
    if (!isOver) child.kill('SIGTERM');
    await ended;
  };
  const giveUpAt = Date.now() + limitMs;
  while (!(await isReady())) {
    if (isOver || isStopping() || Date.now() > giveUpAt) {
      await end();
      const shown = readFileSync(logFile, 'utf8').trim().split('\n').slice(-12).join('\n  ');
      throw new StepFailure(`start ${command[0]}: it is not ready\n  ${shown}`, 'see its output');
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return { end, ended };
}
