/** `stackshim code add`: makes code the current revision of a package. */
import type { AddedPackage, AddPackageOptions } from '../../exchange/code-packages/add-package.ts';
import { invalidField } from '../../spec/field-errors.ts';
import { LIMIT_OPTIONS } from '../../spec/options/limit-options.ts';
import type { CodeAddOptions } from '../define/define-code-commands.ts';
import { keyOf } from '../define/plain-line.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readEntries } from '../read-entries.ts';

/** A stop signal (SIGINT, SIGTERM, …) aborts the command, which then has changed nothing. */
export async function codeAdd(
  name: string,
  path: string,
  words: readonly string[],
  options: CodeAddOptions,
): Promise<void> {
  const input = toInput(words, options);
  const added = await withProgress(
    (exchange, _, code) => code.add(name, path, { ...input, ...exchange }),
    options,
  );
  await printAnswer(added, options, formatAdded);
}

/** Formats `mailer@rev:3 sha256:…` and what was done. */
function formatAdded({ name, revision, image, isNew, build }: AddedPackage): string {
  const built = build === undefined ? '' : build.cached ? ', build from the cache' : ', built';
  const what = isNew ? `added${built}` : 'unchanged';
  return `${name}@rev:${revision} ${image} ${what}\n`;
}

function toInput(words: readonly string[], options: CodeAddOptions): AddPackageOptions {
  const { tenant, stack, args, configFile, build, buildFrom, buildNetwork } = options;
  const { env, envFile, output } = options;
  const limits = Object.entries(LIMIT_OPTIONS).map(([field, { flags }]) => [
    field,
    Reflect.get(options, keyOf(flags)),
  ]);
  // The words are untyped here: the parser of the settings checks them.
  const given = {
    ...{ tenant, stack, args, configFile, build, buildFrom, buildNetwork, outputs: output },
    command: toCommand(words, options.command),
    env: (env ?? envFile) && readEntries({ env, envFile }).env,
    retries: toNumber('retries', options.retries),
    maxConcurrency: toNumber('maxConcurrency', options.maxConcurrency),
    priority: toNumber('priority', options.priority),
    ...Object.fromEntries(limits),
  };
  return given as AddPackageOptions;
}

function toCommand(
  words: readonly string[],
  command: string | undefined,
): readonly string[] | undefined {
  if (command === undefined) return words.length === 0 ? undefined : words;
  if (words.length > 0) throw invalidField('command', 'given twice: as --command, and after --');
  if (!command.startsWith('[')) return ['/bin/sh', '-c', command];
  try {
    return JSON.parse(command);
  } catch {
    throw invalidField('command', 'begins with "[", but is no JSON array', command);
  }
}

function toNumber(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw invalidField(field, 'not a whole number', text);
}
