/** `stackshim migrate`: brings stored files of earlier versions up to this version. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { MigrateProgress, Migration } from '../../upkeep/migrate-store.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { printAnswer } from '../print/print.ts';
import { withCountProgress } from '../progress/with-progress.ts';
import { whileStoppable } from '../run/caller-signals.ts';

/** Resolves to the exit status: 1 if a damaged image stays unchanged. A stop signal (SIGINT, SIGTERM, …) ends the migration between two images. */
export async function migrate(
  options: JsonOption & { readonly dryRun?: boolean },
): Promise<number> {
  const done = await whileStoppable((signal) =>
    withCountProgress(options, (show) => {
      const onProgress = ({ image, images, digest }: MigrateProgress) => {
        const [label, amount] = [`image ${image} of ${images}`, digest];
        show({ label, done: image - 1, total: images, amount }, `${label}: ${digest}`);
      };
      return openDoor().migrate({ dryRun: options.dryRun === true, onProgress, signal });
    }),
  );
  await printAnswer(done, options, format);
  return done.damaged.length === 0 ? 0 : 1;
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
