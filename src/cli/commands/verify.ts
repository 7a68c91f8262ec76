/** `stackshim verify`: prints damage and the affected stacks on stdout, progress on stderr. */

import { toPrintable } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { AffectedRevision, Damage } from '../../store/survey-store.ts';
import type { Verification, VerifyProgress } from '../../upkeep/verify-store.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { formatBytes, formatCount } from '../print/format-quantities.ts';
import { print, printJson } from '../print/print.ts';
import { createRateMeter, type RateMeter } from '../progress/progress-bar.ts';
import { withCountProgress } from '../progress/with-progress.ts';
import { whileStoppable } from '../run/caller-signals.ts';

/** Resolves to the exit status: 1 if something is damaged. A stop signal (SIGINT, SIGTERM, …) ends the check. */
export async function verify(names: readonly string[], options: JsonOption): Promise<number> {
  const meter = createRateMeter();
  const found = await whileStoppable((signal) =>
    withCountProgress(options, (show) =>
      openDoor().verify({
        ...(names.length === 0 ? {} : { stacks: names }),
        onProgress: (progress) => show(toBar(progress, meter), describeDone(progress)),
        signal,
      }),
    ),
  );
  await (options.json ? printJson(toJson(found)) : print(format(found)));
  return found.damage.length === 0 ? 0 : 1;
}

function toJson({ damage, ...counts }: Verification): object {
  return {
    ...counts,
    damage: damage.map(({ error, ...rest }) => ({ ...rest, error: error.toJSON() })),
  };
}

function format(found: Verification): string {
  const { layers, layerBytes, images, revisions, packages, builds, buildBytes, damage } = found;
  const counts = [
    `${formatCount(layers, 'layer')} (${formatBytes(layerBytes)})`,
    formatCount(images, 'image'),
    formatCount(revisions, 'revision'),
    ...(packages === 0 ? [] : [formatCount(packages, 'package revision')]),
    ...(builds === 0
      ? []
      : [`${formatCount(builds, 'cached build')} (${formatBytes(buildBytes)})`]),
  ];
  const counted = counts.join(', ');
  return damage.length === 0
    ? `${counted}: no damage found\n`
    : `${damage.map(formatDamage).join('')}${counted}: ${damage.length} damaged\n`;
}

function formatDamage({ kind, error, hits }: Damage): string {
  const text = `${kind}: ${toPrintable(error.message)}\n`;
  return hits.length === 0 ? text : `${text}  affects: ${hits.map(formatRevision).join(', ')}\n`;
}

function formatRevision({ stack, code, revision, current }: AffectedRevision): string {
  const tenant = code?.tenant == null ? '' : ` of tenant ${code.tenant}`;
  const name = stack ?? `code package ${code?.name}`;
  return `${name}@rev:${revision}${tenant}${current ? ' (current)' : ''}`;
}

const toBar = ({ layer, layers, doneOfAll, totalOfAll }: VerifyProgress, meter: RateMeter) => ({
  label: `layer ${layer} of ${layers}`,
  done: doneOfAll,
  total: totalOfAll,
  amount: meter(doneOfAll, totalOfAll),
});

const describeDone = ({ layer, layers, id, doneBytes, totalBytes }: VerifyProgress) =>
  doneBytes === totalBytes
    ? `layer ${layer} of ${layers}: ${id.slice(0, 12)} ${formatBytes(totalBytes)}`
    : undefined;
