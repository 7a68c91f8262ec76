/** `stackshim gc`: frees what nothing needs, and prints what was removed. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { Collection } from '../../upkeep/collect-garbage.ts';
import { invalidOption, type JsonOption } from '../define/shared-options.ts';
import { formatBytes } from '../print/format-quantities.ts';
import { printAnswer } from '../print/print.ts';
import { reportError } from '../print/printable.ts';
import { withCountProgress } from '../progress/with-progress.ts';

interface CollectCommandOptions extends JsonOption {
  readonly dryRun?: boolean;
  readonly keepRevisions?: string;
}

/** Resolves to the exit status: 1 if possible garbage stayed because of damage or a full disk. */
export async function gc(options: CollectCommandOptions): Promise<number> {
  const keepRevisions = parseKept(options.keepRevisions);
  const collection = await withCountProgress(options, (show) =>
    openDoor().gc({
      dryRun: options.dryRun === true,
      keepRevisions,
      onProgress({ kind, done, total }) {
        const bar = { label: `remove ${kind}`, done, total, amount: `${done} of ${total}` };
        show(bar, done === total ? `removed ${kind}: ${total}` : undefined);
      },
    }),
  );
  await printAnswer(collection, options, format);
  if (!options.json) collection.obstacles.forEach(reportError);
  return collection.obstacles.length === 0 ? 0 : 1;
}

function parseKept(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return Number(text);
  const hint = 'give the number of newest revisions to keep of each stack: --keep-revisions 3';
  throw invalidOption('--keep-revisions', text, 'not a whole number', hint);
}

const toPackageText = ({ name, tenant, revision }: Collection['packages'][number]) =>
  `code ${name}@rev:${revision}${tenant === null ? '' : ` of tenant ${tenant}`}`;

function format(collection: Collection) {
  const { dryRun, revisions, packages, generations, images, layers, builds } = collection;
  const { files, bases, volumes, reports, freedBytes } = collection;
  const gone = [
    ...revisions.map(({ stack, revision }) => `revision ${stack}@rev:${revision}\n`),
    ...packages.map((one) => `revision ${toPackageText(one)}\n`),
    ...generations.map((number) => `generation ${number}\n`),
    ...images.map((digest) => `image ${digest}\n`),
    ...layers.map(({ id, sizeBytes }) => `layer ${id} ${formatBytes(sizeBytes)}\n`),
    ...builds.map(({ key, sizeBytes }) => `build ${key} ${formatBytes(sizeBytes)}\n`),
    ...bases.map((path) => `base ${path}\n`),
    ...files.map((path) => `file ${path}\n`),
    ...reports.map((id) => `report ${id}\n`),
    ...(volumes > 0 ? [`volumes ${volumes}\n`] : []),
  ];
  const verb = dryRun ? 'would free' : 'freed';
  return `${gone.join('')}${verb} ${formatBytes(freedBytes)}\n`;
}
