/** `stackshim save` and `load`: stacks as signed files, in a file or through a pipe. */
import { StackshimError } from '../core/errors.ts';
import { isLayerId } from '../core/ids.ts';
import { openDoor } from '../door/open-stackshim.ts';
import type { LoadedStacks } from '../images/exchange/load-stacks.ts';
import { openInput } from '../images/exchange/open-archive.ts';
import { isStandardOutput, withOutput, writeChunks } from '../images/exchange/output-file.ts';
import type { SavedStacks } from '../images/exchange/save-stacks.ts';
import { guardDisk } from '../layers/guard-disk.ts';
import { withProgress } from './exchange-stacks.ts';
import { print, printJson } from './print.ts';

export interface SaveCommandOptions {
  readonly key: string;
  readonly have?: string;
  readonly json?: boolean;
}

export interface LoadCommandOptions {
  readonly list?: boolean;
  readonly anyDate?: boolean;
  readonly json?: boolean;
}

const PIPE = '-';
const MAX_LIST_BYTES = 16 * 1024 * 1024;

export async function saveStacksTo(
  file: string,
  stacks: readonly string[],
  options: SaveCommandOptions,
): Promise<void> {
  const { key: keyFile, json = false } = options;
  const have = options.have === undefined ? new Set<string>() : await readLayerList(options.have);
  const saved = await withProgress((exchange, door) =>
    withOutput(file, exchange.signal, (output) =>
      door.save(stacks, {
        ...exchange,
        keyFile,
        have,
        write: (chunks) => guardDisk(`write ${file}`, () => writeChunks(output, chunks)),
      }),
    ),
  );
  // Standard output contains the file: print nothing else.
  if (isStandardOutput(file)) return;
  await (json ? printJson(saved) : print(describeSaved(saved)));
}

export async function loadStacksFrom(
  file: string | undefined,
  options: LoadCommandOptions,
): Promise<void> {
  if (options.list) {
    const ids = await openDoor().stacks.heldLayers();
    return await (options.json ? printJson(ids) : print(ids.map((id) => `${id}\n`).join('')));
  }
  if (file === undefined) {
    throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', 'load stacks: no file given', {
      hint: 'run stackshim load FILE, or stackshim load - for standard input',
      details: { field: 'file' },
    });
  }
  const input = file === PIPE ? process.stdin : await readInput(file);
  try {
    const loaded = await withProgress((exchange, stacks) =>
      stacks.load({
        ...exchange,
        input,
        name: file === PIPE ? 'standard input' : file,
        anyDate: options.anyDate === true,
      }),
    );
    await (options.json ? printJson(loaded) : print(describeLoaded(loaded)));
  } finally {
    input.destroy();
  }
}

const readInput = async (file: string) =>
  (await openInput(file)).createReadStream({ highWaterMark: 1024 * 1024 });

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
  const ids = text
    .join('')
    .split('\n')
    .filter((line) => line !== '');
  const invalid = ids.find((id) => !isLayerId(id));
  if (invalid === undefined && bytes <= MAX_LIST_BYTES) return new Set(ids);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `read ${file}: ${JSON.stringify((invalid ?? '').slice(0, 80))} is not the id of a layer`,
    { hint: 'make the list with: stackshim load --list', details: { field: 'have', path: file } },
  );
}

const describeSaved = ({ stacks, layers, leftOut }: SavedStacks) => {
  const lines = stacks.map(({ stack, revision, image }) => `${stack}@rev:${revision} ${image}\n`);
  return `${lines.join('')}${layers.length} layers, ${leftOut.length} left out\n`;
};

const describeLoaded = ({ stacks, layers }: LoadedStacks) => {
  const lines = stacks.map(
    ({ stack, revision, image, status }) => `${stack}@rev:${revision} ${image} ${status}\n`,
  );
  return `${lines.join('')}${layers.length} layers stored\n`;
};
