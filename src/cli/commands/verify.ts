/** `stackshim verify`: damage and the affected stacks go to stdout, progress to stderr. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { AffectedRevision, Damage } from '../../store/survey-store.ts';
import type { Verification, VerifyProgress } from '../../upkeep/verify-store.ts';
import type { ProgressStream } from '../build-progress-view.ts';
import { listenForStops } from '../caller-signals.ts';
import { formatBytes, formatCount } from '../format-quantities.ts';
import { print, printJson } from '../print.ts';
import { toPrintable } from '../printable.ts';

const CLEAR_LINE = '\r\u001b[K';

/** Resolves to the exit status: 1 if something is damaged. SIGINT and SIGTERM end it. */
export async function verify(
  names: readonly string[],
  options: { readonly json?: boolean },
): Promise<number> {
  const stops = listenForStops();
  const view = openView(process.stderr);
  try {
    const found = await openDoor().verify({
      ...(names.length === 0 ? {} : { stacks: names }),
      onProgress: view.onProgress,
      signal: stops.signals.signal,
    });
    view.close();
    await (options.json ? printJson(toJson(found)) : print(format(found)));
    return found.damage.length === 0 ? 0 : 1;
  } finally {
    view.close();
    stops.close();
  }
}

function toJson({ damage, ...counts }: Verification): object {
  return {
    ...counts,
    damage: damage.map(({ error, ...rest }) => ({ ...rest, error: error.toJSON() })),
  };
}

function format(found: Verification): string {
  const { layers, layerBytes, images, revisions, damage } = found;
  const counted = `${formatCount(layers, 'layer')} (${formatBytes(layerBytes)}), ${formatCount(images, 'image')}, ${formatCount(revisions, 'revision')}`;
  return damage.length === 0
    ? `${counted}: no damage found\n`
    : `${damage.map(formatDamage).join('')}${counted}: ${damage.length} damaged\n`;
}

function formatDamage({ kind, error, hits }: Damage): string {
  const text = `${kind}: ${toPrintable(error.message)}\n`;
  return hits.length === 0 ? text : `${text}  affects: ${hits.map(formatRevision).join(', ')}\n`;
}

const formatRevision = ({ stack, revision, current }: AffectedRevision) =>
  `${stack}@rev:${revision}${current ? ' (current)' : ''}`;

interface VerifyView {
  onProgress(progress: VerifyProgress): void;
  close(): void;
}

/** Prints one line per layer in a log; on a terminal, one line that is overwritten. */
function openView(stream: ProgressStream): VerifyView {
  if (!stream.isTTY) {
    return {
      onProgress(progress) {
        if (progress.doneBytes === progress.totalBytes) stream.write(`${describe(progress)}\n`);
      },
      close: () => undefined,
    };
  }
  return {
    onProgress: (progress) => void stream.write(`${CLEAR_LINE}${describe(progress)}`),
    close: () => void stream.write(CLEAR_LINE),
  };
}

function describe({ layer, layers, id, doneBytes, totalBytes }: VerifyProgress): string {
  const size =
    doneBytes === totalBytes
      ? formatBytes(totalBytes)
      : `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  return `layer ${layer} of ${layers}: ${id.slice(0, 12)} ${size}`;
}
