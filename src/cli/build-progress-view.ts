/** Shows the progress of a build on stderr: lines in a log, one line that is overwritten on a terminal. */
import type { BuildProgress } from '../exchange/progress.ts';
import { formatBytes } from './format-quantities.ts';
import { shorten } from './format-table.ts';
import { toPrintable } from './printable.ts';

export interface BuildProgressView {
  /** `label` names the build if the view shows several. */
  onProgress(progress: BuildProgress, label?: string): void;
  /** Clears the line that is overwritten; a second call does nothing. */
  close(): void;
}

/** The part of a stream that a view uses: `process.stderr`, or a test's stream. */
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
      const prefix = toPrefix(label);
      if (progress.kind === 'step') stream.write(`- ${prefix}${toPrintable(progress.text)}\n`);
      else if (progress.kind === 'line' || progress.kind === 'warning') {
        stream.write(`${INDENT}${prefix}${toPrintable(progress.text)}\n`);
      } else if (isDone(progress)) stream.write(`${INDENT}${prefix}${describeLayer(progress)}\n`);
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
    // Leave one cell free: a line that fills the terminal wraps, and could not be overwritten. A serial line, or a terminal made by a
    // program, may report a width of 0 because it does not know it.
    const room = (stream.columns || DEFAULT_COLUMNS) - 1;
    stream.write(`${CLEAR_LINE}${shorten(`${INDENT}${toPrintable(text)}`, room)}`);
    open = true;
  };
  return {
    onProgress(progress, label) {
      const prefix = toPrefix(label);
      if (progress.kind === 'line') return overwrite(`${prefix}${progress.text}`);
      if (progress.kind === 'layer' && !isDone(progress)) {
        return overwrite(`${prefix}${toBar(progress)} ${describeLayer(progress)}`);
      }
      close();
      stream.write(toLine(progress, prefix));
    },
    close,
  };
}

function toLine(progress: Exclude<BuildProgress, { kind: 'line' }>, prefix: string): string {
  switch (progress.kind) {
    case 'step':
      return `- ${prefix}${toPrintable(progress.text)}\n`;
    case 'warning':
      return `${INDENT}${prefix}${toPrintable(progress.text)}\n`;
    case 'layer':
      return `${INDENT}${prefix}${describeLayer(progress)}\n`;
  }
}

const toPrefix = (label: string | undefined) => (label === undefined ? '' : `${label}: `);

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
