/** `stackshim stack ls` and `stack show`: the stacks that tasks can run in. */
import { openDoor } from '../door/open-stackshim.ts';
import { warnOfTemplate } from '../oci/load-template.ts';
import { STACK_LABELS } from '../stacks/image.ts';
import type { StackDetails, StackSummary } from '../stacks/list-stacks.ts';
import { formatAge, formatBytes } from './format-quantities.ts';
import { formatTable } from './format-table.ts';
import { print, printJson } from './print.ts';
import { collectDamage } from './report-damage.ts';

interface ShowOptions {
  readonly json?: boolean;
}

const SHORT_DIGEST = 'sha256:'.length + 12;

export async function showStacks(options: ShowOptions): Promise<void> {
  const damage = collectDamage();
  const stacks = await openDoor().stacks.list(damage.listener);
  await (options.json ? printJson(stacks) : print(formatStacks(stacks)));
  damage.report();
}

function formatStacks(stacks: readonly StackSummary[]): string {
  const now = Date.now();
  const rows = stacks.map((stack) => [
    stack.name,
    String(stack.revision),
    stack.image.slice(0, SHORT_DIGEST),
    formatAge(now - Date.parse(stack.createdAt)),
    formatBytes(stack.ownBytes),
    formatBytes(stack.sharedBytes),
    toState(stack),
    stack.description ?? '',
  ]);
  const header = ['NAME', 'REVISION', 'IMAGE', 'AGE', 'OWN', 'SHARED', 'STATE', 'DESCRIPTION'];
  return formatTable(header, rows);
}

/** Throws ERR_STACKSHIM_SPEC_INVALID for an invalid name, and the errors of `showStack`. */
export async function showOneStack(name: string, options: ShowOptions): Promise<void> {
  const stack = await openDoor().stacks.show(name);
  return await (options.json ? printJson(stack) : print(formatStack(stack)));
}

/** What a user of the stack should know; empty if there is nothing. */
const toState = ({ behind, eol }: StackSummary) =>
  [behind === null ? '' : `behind ${behind}`, eol === null ? '' : `eol ${eol}`]
    .filter((note) => note !== '')
    .join(', ');

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
