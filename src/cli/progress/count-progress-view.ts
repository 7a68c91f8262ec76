/** Shows how far work of a known size has come: one bar on a terminal, a line for each finished part in a log. */
import { glyphsFor } from '../print/draw-bars.ts';
import { isUtf8, type ProgressStream } from '../print/terminal.ts';
import { type Bar, toBarLine } from './progress-bar.ts';
import { openProgressLines } from './progress-lines.ts';

export interface CountProgressView {
  /** @param finished The line for a log if this part of the work is finished. */
  show(bar: Bar, finished?: string): void;
  /** Clears the bar; a second call does nothing. */
  close(): void;
}

export function openCountProgress(
  stream: ProgressStream,
  { quiet = false }: { readonly quiet?: boolean } = {},
): CountProgressView {
  if (quiet) return { show: () => undefined, close: () => undefined };
  if (!stream.isTTY) {
    return {
      show(_, finished) {
        if (finished !== undefined) stream.write(`${finished}\n`);
      },
      close: () => undefined,
    };
  }
  const lines = openProgressLines(stream);
  const glyphs = glyphsFor(isUtf8());
  return {
    show: (bar) => lines.set('', (cells) => toBarLine(bar, cells, glyphs)),
    close: () => lines.clear(),
  };
}
