/** `stackshim stack import`, `export`, `push` and `commit`: what they do goes to stderr, the outcome to stdout. */
import { StackshimError } from '../core/errors.ts';
import { parseTaskId } from '../core/ids.ts';
import type { Layout } from '../core/layout.ts';
import { commitTask } from '../images/exchange/commit-task.ts';
import { exportStack } from '../images/exchange/export-stack.ts';
import { importStack } from '../images/exchange/import-stack.ts';
import { isStandardOutput } from '../images/exchange/output-file.ts';
import type { ExchangeOptions } from '../images/exchange/publish-image.ts';
import { pushStack } from '../images/exchange/push-stack.ts';
import type { RegistryOptions } from '../images/exchange/run-skopeo.ts';
import { linuxSystem } from '../sys/linux-system.ts';
import { openBuildProgress } from './build-progress-view.ts';
import { openAsRoot } from './open-as-root.ts';
import { print, printJson } from './print.ts';
import { reportToolOutput } from './report-tool-output.ts';
import { runSmokeTask } from './run-smoke-task.ts';
import { toStackName } from './stack-arguments.ts';
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
  const stack = toStackName('import stack', name);
  const registry = toRegistryOptions(options);
  const result = await withProgress('import stack', (exchange, layout) =>
    importStack(layout, {
      ...exchange,
      ...registry,
      ...toSmoke(options),
      runSmoke: runSmokeTask,
      stack,
      reference,
    }),
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}

export async function exportStackTo(
  stack: string,
  file: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const result = await withProgress('export stack', (exchange, layout) =>
    exportStack(layout, { ...exchange, stack, file }),
  );
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
  const result = await withProgress('push stack', (exchange, layout) =>
    pushStack(layout, { ...exchange, ...registry, stack, reference }),
  );
  await (options.json ? printJson(result) : print(`${result.reference} ${result.digest}\n`));
}

export async function commitTaskAs(
  task: string,
  name: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const [id, stack] = [parseTaskId(task), toStackName('commit task as', name)];
  const result = await withProgress('commit task', (exchange, layout) =>
    commitTask(layout, {
      ...exchange,
      ...toSmoke(options),
      runSmoke: runSmokeTask,
      task: id,
      stack,
    }),
  );
  const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
  await (options.json ? printJson(result) : print(text));
}

/** Runs `work` as root with its progress on stderr; SIGINT and SIGTERM abort it. */
export async function withProgress<T>(
  operation: string,
  work: (exchange: ExchangeOptions, layout: Layout) => Promise<T>,
): Promise<T> {
  const { layout } = openAsRoot(operation);
  const stops = listenForStops();
  const view = openBuildProgress(process.stderr);
  try {
    const result = await work(
      {
        system: linuxSystem,
        onProgress: view.onProgress,
        signal: stops.signals.signal,
      },
      layout,
    );
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

const toSmoke = ({ smoke }: ExchangeCommandOptions) => (smoke === undefined ? {} : { smoke });

function toRegistryOptions({ tlsVerify, authfile }: RegistryCommandOptions): RegistryOptions {
  if (tlsVerify !== 'true' && tlsVerify !== 'false') {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `read --tls-verify ${JSON.stringify(tlsVerify)}: neither true nor false`,
      { details: { field: 'tlsVerify' } },
    );
  }
  const auth = authfile === undefined ? {} : { authFile: authfile };
  return { tlsVerify: tlsVerify === 'true', ...auth };
}
