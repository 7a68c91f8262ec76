/** Reads plain lines of `exec` without commander. */
import type { ExecLineOptions } from './exec-options.ts';
import { readPlainLine } from './plain-line.ts';

export interface ExecLine {
  readonly id: string;
  /** Everything after the id. */
  readonly rest: readonly string[];
  readonly options: ExecLineOptions;
}

/** Like `readRunLine`: resolves to undefined for a line that commander must read. Most lines have no options, and do not load their table. */
export async function readExecLine(args: readonly string[]): Promise<ExecLine | undefined> {
  const table = args[0]?.startsWith('-') ? (await import('./exec-options.ts')).EXEC_OPTIONS : [];
  const line = readPlainLine(args, table);
  return line === undefined
    ? undefined
    : { id: line.first, rest: line.rest, options: line.options };
}
