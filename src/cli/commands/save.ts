/** `stackshim save`: writes stacks into a signed file or pipe. */
import { StackshimError } from '../../core/errors.ts';
import { isLayerId } from '../../core/ids.ts';
import { isStandardOutput, withOutput, writeChunks } from '../../exchange/output-file.ts';
import type { SavedStacks } from '../../exchange/saves/save-stacks.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { formatCount } from '../print/format-quantities.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';
import { readInput } from './load.ts';

interface SaveCommandOptions extends JsonOption {
  readonly key: string;
  readonly have?: string;
}

const MAX_LIST_BYTES = 16 * 1024 * 1024;

export async function save(
  file: string,
  stacks: readonly string[],
  options: SaveCommandOptions,
): Promise<void> {
  const have = options.have === undefined ? new Set<string>() : await readLayerList(options.have);
  const saved = await withProgress(
    (exchange, door) =>
      withOutput(file, exchange.signal, (output) =>
        door.save(stacks, {
          ...exchange,
          keyFile: options.key,
          have,
          write: (chunks) => guardDisk(`write ${file}`, () => writeChunks(output, chunks)),
        }),
      ),
    options,
  );
  // Standard output contains the file: print nothing else.
  if (!isStandardOutput(file)) await printAnswer(saved, options, describeSaved);
}

/** Reads a list with one id per line. */
async function readLayerList(file: string): Promise<ReadonlySet<string>> {
  const text: string[] = [];
  let bytes = 0;
  const input = await readInput(file);
  for await (const chunk of input.setEncoding('utf8')) {
    bytes += (chunk as string).length;
    if (bytes > MAX_LIST_BYTES) break;
    text.push(chunk as string);
  }
  const lines = text.join('').split('\n');
  const ids = lines.filter((line) => line !== '');
  const odd = ids.find((id) => !isLayerId(id));
  if (odd === undefined && bytes <= MAX_LIST_BYTES) return new Set(ids);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read ${file}: ${JSON.stringify((odd ?? '').slice(0, 80))} is not the id of a layer`,
    { hint: 'make the list with: stackshim load --list', details: { field: 'have', path: file } },
  );
}

const describeSaved = ({ stacks, layers, leftOut }: SavedStacks) => {
  const lines = stacks.map(({ stack, revision, image }) => `${stack}@rev:${revision} ${image}\n`);
  return `${lines.join('')}${formatCount(layers.length, 'layer')}, ${leftOut.length} left out\n`;
};
