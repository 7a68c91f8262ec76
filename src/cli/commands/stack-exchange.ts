/** `stackshim stack import`, `export`, `push` and `commit`: what becomes a stack, and where a stack is copied to. */
import type { ExportedStack } from '../../exchange/export-stack.ts';
import { STANDARD_INPUT } from '../../exchange/import-stack.ts';
import { isStandardOutput } from '../../exchange/output-file.ts';
import type { PublishedStack } from '../../exchange/publish-image.ts';
import type { PushedStack } from '../../exchange/push-stack.ts';
import { parseLabelEntries } from '../../spec/parse-entries.ts';
import type { RootfsOptions } from '../define/define-stack-commands.ts';
import {
  type ExchangeCommandOptions,
  type RegistryCommandOptions,
  toRegistryOptions,
} from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readVariables } from '../read-entries.ts';
import { requirePipe } from '../run/piped-input.ts';

/** An image or a root filesystem becomes the current revision of a stack. */
export async function stackImport(
  name: string,
  reference: string,
  options: RegistryCommandOptions & RootfsOptions,
): Promise<void> {
  const registry = toRegistryOptions(options);
  const { env, label, workdir, entrypoint, cmd, user, smoke } = options;
  const settings = {
    env: env && readVariables(env),
    labels: label && parseLabelEntries(label),
    ...{ workdir, entrypoint, cmd, user },
  };
  const isInput = [STANDARD_INPUT, `rootfs:${STANDARD_INPUT}`].includes(reference);
  if (isInput) requirePipe('import -');
  const own = { ...registry, smoke, settings, ...(isInput ? { input: process.stdin } : {}) };
  try {
    const result = await withProgress(
      (exchange, stacks) => stacks.importFrom(name, reference, { ...exchange, ...own }),
      options,
    );
    await printAnswer(result, options, formatPublished);
  } finally {
    // A pending read would keep this process alive.
    if (isInput) process.stdin.destroy();
  }
}

/** Writes a stack as one archive. */
export async function stackExport(
  stack: string,
  file: string,
  options: ExchangeCommandOptions,
): Promise<void> {
  const result = await withProgress(
    (exchange, stacks) => stacks.exportTo(stack, file, exchange),
    options,
  );
  // Standard output contains the archive: print nothing else.
  if (!isStandardOutput(file)) await printAnswer(result, options, formatCopied);
}

/** Copies a stack to a registry. */
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
  await printAnswer(result, options, formatCopied);
}

/** The files of a kept task become the current revision of a stack. */
export async function stackCommit(
  task: string,
  name: string,
  options: ExchangeCommandOptions & { readonly code?: boolean },
): Promise<void> {
  const { smoke, code } = options;
  const result = await withProgress(
    (exchange, stacks) => stacks.commit(task, name, { ...exchange, smoke, code }),
    options,
  );
  await printAnswer(result, options, formatPublished);
}

const formatPublished = ({ stack, revision, image }: PublishedStack) =>
  `${stack}@rev:${revision} ${image}\n`;

const formatCopied = ({ reference, digest }: PushedStack | ExportedStack) =>
  `${reference} ${digest}\n`;
