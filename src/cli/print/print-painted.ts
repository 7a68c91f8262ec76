/** Prints drawings on standard output, coloured where it is a terminal. Nothing in their text can control the terminal. */
import picocolors from 'picocolors';
import { toPrintable } from '../../core/errors.ts';
import { descriptorSink } from '../run/descriptor-sink.ts';
import { STDOUT, takesColor } from './terminal.ts';

export type Style = 'bold' | 'dim' | 'cyan' | 'green' | 'red' | 'yellow';

/** A part of a line, with its colour if it has one. */
export type Piece = string | { readonly text: string; readonly style: Style };

export type PaintedLine = readonly Piece[];

/** Fails like `print`. */
export async function printPainted(lines: readonly PaintedLine[]): Promise<void> {
  const text = toPaintedText(lines, takesColor(STDOUT));
  await descriptorSink(STDOUT).write(Buffer.from(text));
}

/** Every line ends in a line break. Blanks at the end of lines are left out. Pure. */
export function toPaintedText(lines: readonly PaintedLine[], inColor: boolean): string {
  const colors = picocolors.createColors(inColor);
  const paint = (piece: Piece) => {
    if (typeof piece === 'string') return toPrintable(piece);
    return piece.text === '' ? '' : colors[piece.style](toPrintable(piece.text));
  };
  return lines.map((line) => `${line.map(paint).join('').trimEnd()}\n`).join('');
}
