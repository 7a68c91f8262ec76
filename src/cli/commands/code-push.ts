/** `stackshim code push`: copies a code package to a registry. */

import { type RegistryCommandOptions, toRegistryOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

export interface CodeExchangeOptions extends RegistryCommandOptions {
  readonly tenant?: string;
}

/** Prints what `code pull` takes. */
export async function codePush(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const { tenant } = options;
  const pushed = await withProgress(
    (exchange, _, code) => code.push(name, reference, { ...exchange, ...registry, tenant }),
    options,
  );
  await (options.json ? printJson(pushed) : print(`${pushed.reference} ${pushed.image}\n`));
}
