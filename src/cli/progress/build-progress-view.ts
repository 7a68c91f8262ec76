/** Shows the progress of builds and exchanges on stderr: lines in a log, redrawn bars on a terminal. */

import { toPrintable } from '../../core/errors.ts';
import type { BuildProgress } from '../../exchange/progress.ts';
import { type Glyphs, glyphsFor } from '../print/draw-bars.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { isUtf8, type ProgressStream } from '../print/terminal.ts';
import { shorten } from '../print/text-width.ts';
import { createRateMeter, type RateMeter, toBarLine } from './progress-bar.ts';
import { openProgressLines } from './progress-lines.ts';

export interface BuildProgressView {
  /** `label` names the build if the view shows several. Each label has its own line. */
  onProgress(progress: BuildProgress, label?: string): void;
  /** Clears the redrawn lines; a second call does nothing. */
  close(): void;
}

interface BuildProgressOptions {
  /** Show only warnings, because a program reads the output. */
  readonly quiet?: boolean;
  /** Default: those of the locale. */
  readonly glyphs?: Glyphs;
}

const INDENT = '    ';

export function openBuildProgress(
  stream: ProgressStream,
  { quiet = false, glyphs = glyphsFor(isUtf8()) }: BuildProgressOptions = {},
): BuildProgressView {
  if (stream.isTTY && !quiet) return openTerminalView(stream, glyphs);
  return {
    onProgress(progress, label) {
      const prefix = toPrefix(label);
      if (!quiet) {
        const isTold = progress.kind !== 'layer' || isDone(progress);
        if (isTold) stream.write(`${toLine(progress, prefix)}\n`);
      } else if (progress.kind === 'warning') {
        stream.write(`${prefix}${toPrintable(progress.text)}\n`);
      }
    },
    close: () => undefined,
  };
}

function openTerminalView(stream: ProgressStream, glyphs: Glyphs): BuildProgressView {
  const lines = openProgressLines(stream);
  const meters = new Map<string, { readonly layer: number; readonly describe: RateMeter }>();
  const meterOf = (key: string, layer: number): RateMeter => {
    const known = meters.get(key);
    if (known?.layer === layer) return known.describe;
    const describe = createRateMeter();
    meters.set(key, { layer, describe });
    return describe;
  };
  return {
    onProgress(progress, label) {
      const prefix = toPrefix(label);
      const key = label ?? '';
      if (progress.kind === 'line') {
        const text = `${INDENT}${prefix}${toPrintable(progress.text)}`;
        lines.set(key, (cells) => shorten(text, cells));
      } else if (progress.kind === 'layer' && !isDone(progress)) {
        const { layer, doneBytes: done, totalBytes: total } = progress;
        const describe = meterOf(key, layer);
        const name = `${INDENT}${prefix}${nameOf(progress)}`;
        const toBar = () => ({ label: name, done, total, amount: describe(done, total) });
        lines.set(key, (cells) => toBarLine(toBar(), cells, glyphs));
      } else {
        lines.drop(key);
        lines.keep(toLine(progress, prefix));
      }
    },
    close: () => lines.clear(),
  };
}

function toLine(progress: BuildProgress, prefix: string): string {
  switch (progress.kind) {
    case 'step':
      return `- ${prefix}${toPrintable(progress.text)}`;
    case 'line':
    case 'warning':
      return `${INDENT}${prefix}${toPrintable(progress.text)}`;
    case 'layer':
      return `${INDENT}${prefix}${describeLayer(progress)}`;
  }
}

const toPrefix = (label: string | undefined) => (label === undefined ? '' : `${label}: `);

type LayerProgress = Extract<BuildProgress, { kind: 'layer' }>;

const isDone = ({ reused, doneBytes, totalBytes }: LayerProgress) =>
  reused || doneBytes >= totalBytes;

const nameOf = ({ layer, layers }: LayerProgress) => `layer ${layer} of ${layers}`;

const describeLayer = (progress: LayerProgress): string =>
  `${nameOf(progress)}: ${progress.reused ? 'stored already' : formatBytes(progress.totalBytes)}`;
