/** A real terminal with a shell script: script(1) makes it, the test types and reads. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';

export interface Shown {
  /** Output between the previous match and this one. */
  readonly before: string;
  /** The match with its groups; the text itself if that was a string. */
  readonly match: readonly string[];
}

export interface TerminalSession {
  /** Sends keys; Enter is `\r`. */
  type(keys: string): void;
  /** Resolves once output since the last call matches; rejects if the session ends first. */
  shown(pattern: RegExp | string): Promise<Shown>;
  /** Closes the terminal, as closing its window does. */
  hangUp(): void;
  /** Exit status of the script. */
  readonly ended: Promise<number | null>;
}

/** Rows and columns of the terminal at first. */
export const FIRST_SIZE = { rows: 33, columns: 91 } as const;

/** @param script For /bin/sh, on a terminal of {@link FIRST_SIZE}. */
export function openTerminalSession(
  script: string,
  env: Readonly<Record<string, string>>,
): TerminalSession {
  const sized = `stty rows ${FIRST_SIZE.rows} cols ${FIRST_SIZE.columns}\n${script}`;
  const args = ['--quiet', '--return', '--flush', '--command', sized, '/dev/null'];
  const child = spawn('script', args, {
    env: { ...process.env, ...env, SHELL: '/bin/sh' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // A failed test has not ended the session.
  onTestFinished(() => void child.kill('SIGKILL'));
  let screen = '';
  let wake: () => void = () => undefined;
  let over = false;
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    screen += text;
    wake();
  });
  const ended = once(child, 'close').then(([status]: unknown[]) => {
    over = true;
    wake();
    return typeof status === 'number' ? status : null;
  });
  return {
    type: (keys) => void child.stdin.write(keys),
    async shown(pattern) {
      for (;;) {
        const found = find(screen, pattern);
        if (found !== undefined) {
          screen = screen.slice(found.before.length + (found.match[0]?.length ?? 0));
          return found;
        }
        if (over)
          throw new Error(`never shown: ${pattern}; the screen has ${JSON.stringify(screen)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    hangUp: () => void child.kill('SIGKILL'),
    ended,
  };
}

function find(screen: string, pattern: RegExp | string): Shown | undefined {
  if (typeof pattern === 'string') {
    const index = screen.indexOf(pattern);
    return index < 0 ? undefined : { before: screen.slice(0, index), match: [pattern] };
  }
  const match = pattern.exec(screen);
  return match === null ? undefined : { before: screen.slice(0, match.index), match };
}
