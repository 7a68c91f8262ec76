/** `stackshim migrate`: brings what earlier versions stored up to this version. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { MigrateProgress, Migration } from '../../upkeep/migrate-store.ts';
import { print, printJson } from '../print/print.ts';
import { openStderr } from '../print/terminal.ts';
import { openCountProgress } from '../progress/count-progress-view.ts';
import { listenForStops } from '../run/caller-signals.ts';

interface MigrateCommandOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Resolves to the exit status: 1 if a damaged image stays unchanged. SIGINT and SIGTERM end the migration between two images. */
export async function migrate(options: MigrateCommandOptions): Promise<number> {
  const { dryRun = false, json = false } = options;
  const stops = listenForStops();
  const { signal } = stops.signals;
  const view = openCountProgress(openStderr(), { quiet: json });
  try {
    const onProgress = ({ image, images, digest }: MigrateProgress) => {
      const [label, amount] = [`image ${image} of ${images}`, digest];
      view.show({ label, done: image - 1, total: images, amount }, `${label}: ${digest}`);
    };
    const done = await openDoor().migrate({ dryRun, onProgress, signal });
    view.close();
    if (json) await printJson(done);
    else await print(format(done));
    return done.damaged.length === 0 ? 0 : 1;
  } finally {
    view.close();
    stops.close();
  }
}

function format({ dryRun, images, damaged }: Migration): string {
  if (images.length + damaged.length === 0) return 'everything stored is of this version\n';
  const what = dryRun ? 'to be named by its content' : 'named by its content';
  return [
    ...images.map((digest) => `${digest}: ${what}\n`),
    ...damaged.map(
      (digest) => `${digest}: one of its layers is damaged; run stackshim verify to see which\n`,
    ),
  ].join('');
}
