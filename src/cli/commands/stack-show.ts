/** `stackshim stack show`: shows everything about a stack. */
import { openDoor } from '../../door/open-stackshim.ts';
import { warnOfTemplate } from '../../oci/load-template.ts';
import { STACK_LABELS } from '../../store/images/image.ts';
import type { StackDetails } from '../../store/stacks/list-stacks.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { print, printJson } from '../print/print.ts';

/** Throws ERR_STACKSHIM_SPEC_INVALID for an invalid name, and the errors of `showStack`. */
export async function stackShow(name: string, options: JsonOption): Promise<void> {
  const stack = await openDoor().stacks.show(name);
  return await (options.json ? printJson(stack) : print(formatStack(stack)));
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
