/** Shows how far work of a known size has come: one bar on a terminal, a line for each finished part in a log. */
import type { JsonOption } from '../define/shared-options.ts';
import { glyphsFor } from '../print/draw-bars.ts';
import { isUtf8, openStderr } from '../print/terminal.ts';
import { type Bar, toBarLine } from './progress-bar.ts';
import { openProgressLines } from './progress-lines.ts';

/** Shows the bar; in a log, the line `finished` if this part of the work is finished. */
export type ShowCount = (bar: Bar, finished?: string) => void;

/** Does work with a view of its progress on stderr; with `--json`, without. */
export async function withCountProgress<T>(
  { json = false }: JsonOption,
  work: (show: ShowCount) => Promise<T>,
): Promise<T> {
  if (json) return await work(() => undefined);
  const stream = openStderr();
  if (!stream.isTTY) {
    return await work((_, finished) => {
      if (finished !== undefined) stream.write(`${finished}\n`);
    });
  }
  const lines = openProgressLines(stream);
  const glyphs = glyphsFor(isUtf8());
  try {
    return await work((bar) => lines.set('', (cells) => toBarLine(bar, cells, glyphs)));
  } finally {
    lines.clear();
  }
}
