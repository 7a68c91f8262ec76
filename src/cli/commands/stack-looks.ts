/** `stackshim stack ls`, `show` and `history`: which stacks there are, and everything about one. */
import { openDoor } from '../../door/open-stackshim.ts';
import { warnOfTemplate } from '../../oci/load-template.ts';
import { STACK_LABELS } from '../../store/images/image.ts';
import type { StackDetails, StackSummary } from '../../store/stacks/list-stacks.ts';
import type { HistoryEntry } from '../../store/stacks/stack-history.ts';
import type { JsonOption, TruncOption } from '../define/shared-options.ts';
import { formatAge, formatBytes, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer } from '../print/print.ts';
import { collectDamage } from '../print/report-failures.ts';

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
