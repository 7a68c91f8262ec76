/** `stackshim stack import`: an image or a root filesystem becomes the current revision of a stack. */
import { STANDARD_INPUT } from '../../exchange/import-stack.ts';
import type { ImageSettings } from '../../exchange/root-filesystem/image-settings.ts';
import { parseLabelEntries } from '../../spec/parse-entries.ts';
import { type RegistryCommandOptions, toRegistryOptions } from '../define/shared-options.ts';
import { print, printJson } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readVariables } from '../read-entries.ts';
import { requirePipe } from '../run/require-pipe.ts';

interface ImportCommandOptions extends RegistryCommandOptions {
  readonly env?: readonly string[];
  readonly label?: readonly string[];
  readonly workdir?: string;
  readonly entrypoint?: string;
  readonly cmd?: string;
  readonly user?: string;
}

export async function stackImport(
  name: string,
  reference: string,
  options: ImportCommandOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const settings = toSettings(options);
  const isInput = [STANDARD_INPUT, `rootfs:${STANDARD_INPUT}`].includes(reference);
  if (isInput) requirePipe('import -');
  try {
    const result = await withProgress(
      (exchange, stacks) =>
        stacks.importFrom(name, reference, {
          ...exchange,
          ...registry,
          smoke: options.smoke,
          settings,
          ...(isInput ? { input: process.stdin } : {}),
        }),
      options,
    );
    const text = `${result.stack}@rev:${result.revision} ${result.image}\n`;
    await (options.json ? printJson(result) : print(text));
  } finally {
    // A pending read would keep this process alive.
    if (isInput) process.stdin.destroy();
  }
}

const toSettings = (options: ImportCommandOptions): ImageSettings => {
  const { env, label, workdir, entrypoint, cmd, user } = options;
  return {
    env: env === undefined ? undefined : readVariables(env),
    labels: label === undefined ? undefined : parseLabelEntries(label),
    workdir,
    entrypoint,
    cmd,
    user,
  };
};
