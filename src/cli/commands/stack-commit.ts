/** `stackshim stack commit`: the files of a kept task become the current revision of a stack. */

import type { ExchangeCommandOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

interface CommitCommandOptions extends ExchangeCommandOptions {
  readonly code?: boolean;
}

export async function stackCommit(
  task: string,
  name: string,
  options: CommitCommandOptions,
): Promise<void> {
  const result = await withProgress(
    (exchange, stacks) =>
      stacks.commit(task, name, { ...exchange, smoke: options.smoke, code: options.code }),
    options,
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}
