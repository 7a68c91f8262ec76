/** Prints drawings on standard output, coloured on a terminal. Nothing in their text can control the terminal. */
import picocolors from 'picocolors';
import { toPrintable } from '../../core/errors.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';
import { type DrawOptions, glyphsFor } from './draw-bars.ts';
import { isUtf8, STDOUT, takesColor, terminalSize } from './terminal.ts';

export type Style = 'bold' | 'dim' | 'cyan' | 'green' | 'red' | 'yellow';

/** A part of a line, with its colour if it has one. */
export type Piece = string | { readonly text: string; readonly style: Style };

export type PaintedLine = readonly Piece[];

/** Prints what `draw` draws for this terminal. Fails like `print`. */
export async function printPainted(
  draw: (options: DrawOptions) => readonly PaintedLine[],
): Promise<void> {
  const options = { glyphs: glyphsFor(isUtf8()), width: terminalSize(STDOUT)?.columns };
  const text = toPaintedText(draw(options), takesColor(STDOUT));
  await descriptorSink(STDOUT).write(Buffer.from(text));
}

/** Ends every line with a line break. Leaves out blanks at the end of lines. Pure. */
export function toPaintedText(lines: readonly PaintedLine[], inColor: boolean): string {
  const colors = picocolors.createColors(inColor);
  const paint = (piece: Piece) => {
    if (typeof piece === 'string') return toPrintable(piece);
    return piece.text === '' ? '' : colors[piece.style](toPrintable(piece.text));
  };
  return lines.map((line) => `${line.map(paint).join('').trimEnd()}\n`).join('');
}
