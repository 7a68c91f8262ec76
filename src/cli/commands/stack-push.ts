/** `stackshim stack push`: copies a stack to a registry. */

import { type RegistryCommandOptions, toRegistryOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

export async function stackPush(
  stack: string,
  reference: string,
  options: RegistryCommandOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const result = await withProgress(
    (exchange, stacks) => stacks.push(stack, reference, { ...exchange, ...registry }),
    options,
  );
  await (options.json ? printJson(result) : print(`${result.reference} ${result.digest}\n`));
}
