/** `stackshim stack import`: an image becomes the current revision of a stack. */

import { print, printJson } from '../print.ts';
import { type RegistryCommandOptions, toRegistryOptions } from '../shared-options.ts';
import { withProgress } from '../with-progress.ts';

export async function stackImport(
  name: string,
  reference: string,
  options: RegistryCommandOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const result = await withProgress(
    (exchange, stacks) =>
      stacks.importFrom(name, reference, { ...exchange, ...registry, smoke: options.smoke }),
    options,
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}
