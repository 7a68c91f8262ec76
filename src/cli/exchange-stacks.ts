/** `stackshim stack import`, `export`, `push` and `commit`: what they do goes to stderr, the outcome to stdout. */
import { StackshimError } from '../core/errors.ts';
import { openDoor } from '../door/open-stackshim.ts';
import type { Stacks } from '../door/stacks.ts';
import { isStandardOutput } from '../images/exchange/output-file.ts';
import type { ExchangeOptions } from '../images/exchange/publish-image.ts';
import type { RegistryOptions } from '../images/exchange/run-skopeo.ts';
import { openBuildProgress } from './build-progress-view.ts';
import { print, printJson } from './print.ts';
import { reportToolOutput } from './report-tool-output.ts';
import { listenForStops } from './stop-signals.ts';

export interface ExchangeCommandOptions {
  readonly smoke?: string;
  readonly json?: boolean;
}

export interface RegistryCommandOptions extends ExchangeCommandOptions {
  readonly tlsVerify: string;
  readonly authfile?: string;
}

export async function importStackFrom(
  name: string,
  reference: string,
  options: RegistryCommandOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const result = await withProgress((exchange, stacks) =>
    stacks.importFrom(name, reference, { ...exchange, ...registry, smoke: options.smoke }),
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}

export async function exportStackTo(
  stack: string,
  file: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const result = await withProgress((exchange, stacks) => stacks.exportTo(stack, file, exchange));
  // Standard output is the file itself then.
  if (isStandardOutput(file)) return;
  await (options.json ? printJson(result) : print(`${result.reference} ${result.digest}\n`));
}

export async function pushStackTo(
  stack: string,
  reference: string,
  options: RegistryCommandOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const result = await withProgress((exchange, stacks) =>
    stacks.push(stack, reference, { ...exchange, ...registry }),
  );
  await (options.json ? printJson(result) : print(`${result.reference} ${result.digest}\n`));
}

export async function commitTaskAs(
  task: string,
  name: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const result = await withProgress((exchange, stacks) =>
    stacks.commit(task, name, { ...exchange, smoke: options.smoke }),
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}

/** Runs `work` with its progress on stderr; SIGINT and SIGTERM abort it. */
export async function withProgress<T>(
  work: (exchange: Omit<ExchangeOptions, 'system'>, stacks: Stacks) => Promise<T>,
): Promise<T> {
  const stops = listenForStops();
  const view = openBuildProgress(process.stderr);
  try {
    const exchange = { onProgress: view.onProgress, signal: stops.signals.signal };
    const result = await work(exchange, openDoor().stacks);
    view.close();
    return result;
  } catch (error) {
    view.close();
    if (error instanceof StackshimError) reportToolOutput(error);
    throw error;
  } finally {
    stops.close();
  }
}

function toRegistryOptions({ tlsVerify, authfile }: RegistryCommandOptions): RegistryOptions {
  if (tlsVerify !== 'true' && tlsVerify !== 'false') {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `read --tls-verify ${JSON.stringify(tlsVerify)}: neither true nor false`,
      { details: { field: 'tlsVerify' } },
    );
  }
  return { tlsVerify: tlsVerify === 'true', authFile: authfile };
}
