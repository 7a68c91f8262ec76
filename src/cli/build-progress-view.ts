/** The progress of a build on stderr: lines for a log; on a terminal one line that is written over. */
import type { BuildProgress } from '../exchange/progress.ts';
import { formatBytes } from './format-quantities.ts';
import { shorten } from './format-table.ts';
import { toPrintable } from './printable.ts';

export interface BuildProgressView {
  /** `label`: whose progress it is, where that of several comes. */
  onProgress(progress: BuildProgress, label?: string): void;
  /** Takes the line that is written over away; a second call does nothing. */
  close(): void;
}

/** The part of a stream that a view writes to: `process.stderr`, or a test's. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const CLEAR_LINE = '\r\u001b[K';
const INDENT = '    ';
const BAR_CELLS = 24;
const DEFAULT_COLUMNS = 80;

export function openBuildProgress(stream: ProgressStream): BuildProgressView {
  return stream.isTTY ? openTerminalView(stream) : openLogView(stream);
}

function openLogView(stream: ProgressStream): BuildProgressView {
  return {
    onProgress(progress, label) {
      const begin = toBegin(label);
      if (progress.kind === 'step') stream.write(`- ${begin}${toPrintable(progress.text)}\n`);
      else if (progress.kind === 'line' || progress.kind === 'warning') {
        stream.write(`${INDENT}${begin}${toPrintable(progress.text)}\n`);
      } else if (isDone(progress)) stream.write(`${INDENT}${begin}${describeLayer(progress)}\n`);
    },
    close: () => undefined,
  };
}

function openTerminalView(stream: ProgressStream): BuildProgressView {
  let open = false;
  const close = () => {
    if (open) stream.write(CLEAR_LINE);
    open = false;
  };
  const overwrite = (text: string) => {
    // One cell is left free: a line that fills the terminal wraps, and could not be written over.
    // A serial line, or a terminal that a program made, may not know its width: it says 0.
    const room = (stream.columns || DEFAULT_COLUMNS) - 1;
    stream.write(`${CLEAR_LINE}${shorten(`${INDENT}${toPrintable(text)}`, room)}`);
    open = true;
  };
  return {
    onProgress(progress, label) {
      const begin = toBegin(label);
      if (progress.kind === 'line') return overwrite(`${begin}${progress.text}`);
      if (progress.kind === 'layer' && !isDone(progress)) {
        return overwrite(`${begin}${toBar(progress)} ${describeLayer(progress)}`);
      }
      close();
      stream.write(toLine(progress, begin));
    },
    close,
  };
}

function toLine(progress: Exclude<BuildProgress, { kind: 'line' }>, begin: string): string {
  switch (progress.kind) {
    case 'step':
      return `- ${begin}${toPrintable(progress.text)}\n`;
    case 'warning':
      return `${INDENT}${begin}${toPrintable(progress.text)}\n`;
    case 'layer':
      return `${INDENT}${begin}${describeLayer(progress)}\n`;
  }
}

const toBegin = (label: string | undefined) => (label === undefined ? '' : `${label}: `);

type LayerProgress = Extract<BuildProgress, { kind: 'layer' }>;

const isDone = ({ reused, doneBytes, totalBytes }: LayerProgress) =>
  reused || doneBytes >= totalBytes;

function describeLayer({ layer, layers, reused, doneBytes, totalBytes }: LayerProgress): string {
  const name = `layer ${layer} of ${layers}`;
  if (reused) return `${name}: stored already`;
  const total = formatBytes(totalBytes);
  return doneBytes >= totalBytes
    ? `${name}: ${total}`
    : `${name}: ${formatBytes(doneBytes)} of ${total}`;
}

function toBar({ doneBytes, totalBytes }: LayerProgress): string {
  const full = Math.floor((BAR_CELLS * doneBytes) / Math.max(1, totalBytes));
  return `[${'#'.repeat(full)}${'.'.repeat(BAR_CELLS - full)}]`;
}
