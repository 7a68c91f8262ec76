/** `stackshim code push` and `pull`: copy a code package to a registry, and from one. */
import {
  type RegistryCommandOptions,
  type TenantOption,
  toRegistryOptions,
} from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

type CodeExchangeOptions = RegistryCommandOptions & TenantOption;

/** Prints what `code pull` takes. */
export async function codePush(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const own = { ...toRegistryOptions(options), tenant: options.tenant };
  const pushed = await withProgress(
    (exchange, _, code) => code.push(name, reference, { ...exchange, ...own }),
    options,
  );
  await printAnswer(pushed, options, () => `${pushed.reference} ${pushed.image}\n`);
}

/** Makes an image of a registry the current revision of a code package. */
export async function codePull(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const own = { ...toRegistryOptions(options), tenant: options.tenant, makeCurrent: true };
  const pulled = await withProgress(
    (exchange, _, code) => code.pull(name, reference, { ...exchange, ...own }),
    options,
  );
  const state = pulled.isNew ? 'added' : 'unchanged';
  const text = `${pulled.name}@rev:${pulled.revision} ${pulled.image} ${state}\n`;
  await printAnswer(pulled, options, () => text);
}
