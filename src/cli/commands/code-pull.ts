/** `stackshim code pull`: makes an image of a registry the current revision of a code package. */

import { toRegistryOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';
import type { CodeExchangeOptions } from './code-push.ts';

export async function codePull(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const own = { ...registry, tenant: options.tenant, makeCurrent: true };
  const pulled = await withProgress(
    (exchange, _, code) => code.pull(name, reference, { ...exchange, ...own }),
    options,
  );
  const state = pulled.isNew ? 'added' : 'unchanged';
  const text = `${pulled.name}@rev:${pulled.revision} ${pulled.image} ${state}\n`;
  await (options.json ? printJson(pulled) : print(text));
}
