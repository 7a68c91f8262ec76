/** The short commands of `stackshim stack`; each other command has a file with its name. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { ExportedStack } from '../../exchange/export-stack.ts';
import { isStandardOutput } from '../../exchange/output-file.ts';
import type { PublishedStack } from '../../exchange/publish-image.ts';
import type { PushedStack } from '../../exchange/push-stack.ts';
import { warnOfTemplate } from '../../oci/load-template.ts';
import { parseLabelEntries } from '../../spec/parse-entries.ts';
import { STACK_LABELS } from '../../store/images/image.ts';
import type { StackDetails, StackSummary } from '../../store/stacks/list-stacks.ts';
import type { StackMove } from '../../store/stacks/rollback.ts';
import type { HistoryEntry } from '../../store/stacks/stack-history.ts';
import type { RootfsOptions } from '../define/define-stack-commands.ts';
import {
  type ExchangeCommandOptions,
  type JsonOption,
  type RegistryCommandOptions,
  type TruncOption,
  toPositive,
  toRegistryOptions,
} from '../define/shared-options.ts';
import { formatAge, formatBytes, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer } from '../print/print.ts';
import { collectDamage } from '../print/report-failures.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readVariables } from '../read-entries.ts';
import { requirePipe } from '../run/piped-input.ts';

export async function stackLs(options: JsonOption & TruncOption): Promise<void> {
  const damage = collectDamage('stack');
  const stacks = await openDoor().stacks.list(damage.listener);
  await printAnswer(stacks, options, () => formatStacks(stacks, !options.trunc));
  damage.report();
}

function formatStacks(stacks: readonly StackSummary[], whole: boolean): string {
  const now = Date.now();
  const rows = stacks.map((stack) => [
    stack.name,
    String(stack.revision),
    formatDigest(stack.image, whole),
    formatAge(now - Date.parse(stack.createdAt)),
    formatBytes(stack.ownBytes),
    formatBytes(stack.sharedBytes),
    toState(stack),
    stack.description ?? '',
  ]);
  const header = ['NAME', 'REVISION', 'IMAGE', 'AGE', 'OWN', 'SHARED', 'STATE', 'DESCRIPTION'];
  return formatTable(header, rows, { whole, cut: ['DESCRIPTION', 'STATE'] });
}

/** What a user of the stack should know; empty if there is nothing. */
const toState = ({ behind, eol }: StackSummary) =>
  [behind === null ? '' : `behind ${behind}`, eol === null ? '' : `eol ${eol}`]
    .filter((note) => note !== '')
    .join(', ');

/** Throws ERR_STACKSHIM_SPEC_INVALID for an invalid name, and the errors of `showStack`. */
export async function stackShow(name: string, options: JsonOption): Promise<void> {
  await printAnswer(await openDoor().stacks.show(name), options, formatStack);
}

function formatStack(stack: StackDetails): string {
  const { config, source } = stack;
  const facts = formatTable(
    ['STACK', stack.name],
    [
      ['revision', `${stack.revision} of ${stack.revisions.join(', ')}`],
      ['image', stack.image],
      ['content', stack.content ?? 'not known yet: stackshim migrate finds it'],
      ...stack.otherDigests.map((digest) => ['also known as', digest]),
      ['description', stack.description ?? '-'],
      ['created', stack.createdAt],
      ['source', source.kind === 'build' ? source.directory : source.reference],
      ['base', stack.base ?? '-'],
      ['behind', stack.behind === null ? 'no' : `${stack.behind} has a newer revision`],
      ['end of fixes', stack.eol ?? '-'],
      ['architecture', stack.architecture],
      ['entrypoint', toWords(config.entrypoint)],
      ['command', toWords(config.cmd)],
      ['working dir', config.workingDir || '/'],
      ['user', config.user || 'root'],
      ...(config.stopSignal === undefined ? [] : [['stop signal', config.stopSignal]]),
      ...config.env.map((entry) => ['env', entry]),
      ['bundle', describeBundle(config.labels[STACK_LABELS.bundle] ?? 'default')],
      ...Object.entries(config.labels).map(([key, value]) => ['label', `${key}=${value}`]),
      ['own', formatBytes(stack.ownBytes)],
      ['shared', formatBytes(stack.sharedBytes)],
    ],
    { wrap: true },
  );
  const layers = formatTable(
    ['LAYER', 'SIZE', 'SHARED'],
    stack.layers.map(({ id, sizeBytes, shared }) => [
      id,
      sizeBytes === null ? 'missing' : formatBytes(sizeBytes),
      shared ? 'yes' : 'no',
    ]),
  );
  return `${facts}\n${layers}`;
}

function describeBundle(name: string): string {
  const warning = warnOfTemplate(name);
  return warning === undefined ? name : `${name}: ${warning}`;
}

const toWords = (words: readonly string[]) => (words.length === 0 ? '-' : JSON.stringify(words));

export async function stackHistory(name: string, options: JsonOption & TruncOption): Promise<void> {
  const entries = await openDoor().stacks.history(name);
  const whole = !options.trunc;
  const now = Date.now();
  const rows = entries.map((entry) => [
    String(entry.revision),
    entry.state,
    formatDigest(entry.image, whole),
    formatAge(now - Date.parse(entry.createdAt)),
    entry.currentSince ?? '-',
    toSource(entry),
  ]);
  const header = ['REVISION', 'STATE', 'IMAGE', 'AGE', 'CURRENT SINCE', 'SOURCE'];
  await printAnswer(entries, options, () => formatTable(header, rows, { whole }));
}

function toSource({ source }: HistoryEntry): string {
  if (source.kind !== 'build') return source.reference;
  const { base, directory } = source;
  return base === undefined ? directory : `${directory} on ${base.stack}@rev:${base.revision}`;
}

export interface MoveOptions extends JsonOption {
  readonly to?: string;
}

/** Makes an earlier revision current again. */
export async function stackRollback(name: string, options: MoveOptions): Promise<void> {
  const to = toPositive('--to', options.to);
  await printAnswer(await openDoor().stacks.rollback(name, { to }), options, formatMove);
}

export const formatMove = ({ stack, from, to }: StackMove) =>
  `${stack}: ${from === null ? 'none' : `rev:${from}`} -> rev:${to}\n`;

/** Removes stacks with all revisions. */
export async function stackRm(names: readonly string[], options: JsonOption): Promise<void> {
  const removed = await openDoor().stacks.remove(names);
  const lines = removed.map(
    ({ stack, revisions }) => `${stack}: removed, revisions ${revisions.join(', ')}\n`,
  );
  await printAnswer(removed, options, () => lines.join(''));
}

/** Makes an image or a root filesystem the current revision of a stack. */
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
  const { STANDARD_INPUT } = await import('../../exchange/import-stack.ts');
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

/** Makes the files of a kept task the current revision of a stack. */
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
