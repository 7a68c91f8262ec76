/** `stackshim stack export`: writes a stack as one archive. */
import { isStandardOutput } from '../../exchange/output-file.ts';
import type { ExchangeCommandOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

export async function stackExport(
  stack: string,
  file: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const result = await withProgress(
    (exchange, stacks) => stacks.exportTo(stack, file, exchange),
    options,
  );
  // Standard output contains the archive: print nothing else.
  if (isStandardOutput(file)) return;
  await (options.json ? printJson(result) : print(`${result.reference} ${result.digest}\n`));
}
