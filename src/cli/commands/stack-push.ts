/** `stackshim stack push`: copies a stack to a registry. */

import { print, printJson } from '../print.ts';
import { type RegistryCommandOptions, toRegistryOptions } from '../shared-options.ts';
import { withProgress } from '../with-progress.ts';

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
