/** `stackshim load`: loads stacks from a signed file or pipe. */
import { openDoor } from '../../door/open-stackshim.ts';
import { openInput } from '../../exchange/archives/open-archive.ts';
import type { LoadedStacks } from '../../exchange/saves/load-stacks.ts';
import { invalidInput } from '../../spec/field-errors.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { formatCount } from '../print/format-quantities.ts';
import { printAnswer } from '../print/print.ts';
import { withProgress } from '../progress/with-progress.ts';

interface LoadCommandOptions extends JsonOption {
  readonly list?: boolean;
  readonly anyDate?: boolean;
}

const PIPE = '-';

export async function load(file: string | undefined, options: LoadCommandOptions): Promise<void> {
  if (options.list) {
    const ids = await openDoor().stacks.heldLayers();
    return await printAnswer(ids, options, () => ids.map((id) => `${id}\n`).join(''));
  }
  if (file === undefined) {
    const hint = 'run stackshim load FILE, or stackshim load - for standard input';
    throw invalidInput('file', 'load stacks: no file given', hint);
  }
  const input = file === PIPE ? process.stdin : await readInput(file);
  try {
    const name = file === PIPE ? 'standard input' : file;
    const anyDate = options.anyDate === true;
    const loaded = await withProgress(
      (exchange, stacks) => stacks.load({ ...exchange, input, name, anyDate }),
      options,
    );
    await printAnswer(loaded, options, describeLoaded);
  } finally {
    input.destroy();
  }
}

export const readInput = async (file: string) =>
  (await openInput(file)).createReadStream({ highWaterMark: 1024 * 1024 });

const describeLoaded = ({ stacks, layers }: LoadedStacks) => {
  const lines = stacks.map(
    ({ stack, revision, image, status }) => `${stack}@rev:${revision} ${image} ${status}\n`,
  );
  return `${lines.join('')}${formatCount(layers.length, 'layer')} stored\n`;
};
