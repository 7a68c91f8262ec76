/** The short commands of `stackshim code`; each other command has a file with its name. */
import { openDoor } from '../../door/open-stackshim.ts';
import type { PackageDetails, PackageSummary } from '../../store/packages/list-packages.ts';
import type { PackageSource } from '../../store/packages/package.ts';
import {
  type RegistryCommandOptions,
  type TenantOption,
  type TruncOption,
  toPositive,
  toRegistryOptions,
} from '../define/shared-options.ts';
import { formatAge, formatBytes, formatDigest } from '../print/format-quantities.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer } from '../print/print.ts';
import { collectDamage } from '../print/report-failures.ts';
import { withProgress } from '../progress/with-progress.ts';

export async function codeLs(
  options: TenantOption & TruncOption & { readonly all?: boolean },
): Promise<void> {
  const damage = collectDamage('code package');
  const { tenant, all } = options;
  const packages = await openDoor().code.list({
    ...{ tenant, all },
    onDamage: (error, { name }) => damage.listener(error, name),
  });
  await printAnswer(packages, options, () => formatPackages(packages, !options.trunc));
  damage.report();
}

function formatPackages(packages: readonly PackageSummary[], whole: boolean): string {
  const now = Date.now();
  const rows = packages.map(({ name, tenant, revision, image, stack, createdAt, sizeBytes }) => [
    name,
    tenant ?? '-',
    String(revision),
    formatDigest(image, whole),
    stack ?? '-',
    formatAge(now - Date.parse(createdAt)),
    formatBytes(sizeBytes),
  ]);
  const header = ['NAME', 'TENANT', 'REVISION', 'IMAGE', 'STACK', 'AGE', 'SIZE'];
  return formatTable(header, rows, { whole });
}

export async function codeShow(name: string, options: TenantOption): Promise<void> {
  const found = await openDoor().code.show(name, { tenant: options.tenant });
  await printAnswer(found, options, formatPackage);
}

function formatPackage(found: PackageDetails): string {
  const { settings, revisions, layers } = found;
  const facts = formatTable(
    ['PACKAGE', found.name],
    [
      ['tenant', found.tenant ?? '-'],
      ['revision', `${found.revision} of ${revisions.join(', ')}`],
      ['image', found.image],
      ['created', found.createdAt],
      ['source', toSourceText(found.source)],
      ['architecture', found.architecture],
      ...Object.entries(settings).flatMap(([name, value]) => toRows(name, value)),
    ],
    { wrap: true },
  );
  const table = formatTable(
    ['LAYER', 'SIZE'],
    layers.map(({ id, sizeBytes }) => [
      id,
      sizeBytes === null ? 'missing' : formatBytes(sizeBytes),
    ]),
  );
  return `${facts}\n${table}`;
}

/** Returns one row for each variable and each limit. */
function toRows(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).map(([key, one]) => [name, `${key}=${one}`]);
  }
  return [[name, typeof value === 'string' ? value : JSON.stringify(value)]];
}

export async function codeHistory(
  name: string,
  options: TenantOption & TruncOption,
): Promise<void> {
  const entries = await openDoor().code.history(name, { tenant: options.tenant });
  const whole = !options.trunc;
  const now = Date.now();
  const rows = entries.map(({ revision, isCurrent, image, createdAt, currentSince, source }) => [
    String(revision),
    isCurrent ? 'current' : '',
    formatDigest(image, whole),
    formatAge(now - Date.parse(createdAt)),
    currentSince ?? '-',
    toSourceText(source),
  ]);
  const header = ['REVISION', 'STATE', 'IMAGE', 'AGE', 'CURRENT SINCE', 'SOURCE'];
  await printAnswer(entries, options, () => formatTable(header, rows, { whole }));
}

const toSourceText = (source: PackageSource) =>
  source.kind === 'add' ? source.path : source.reference;

/** Makes an earlier revision of a code package current again. */
export async function codeRollback(
  reference: string,
  options: TenantOption & { readonly to?: string },
): Promise<void> {
  const target = { tenant: options.tenant, to: toPositive('--to', options.to) };
  const move = await openDoor().code.rollback(reference, target);
  await printAnswer(move, options, ({ name, from, to }) => `${name}: rev:${from} -> rev:${to}\n`);
}

/** Removes code packages with all revisions. */
export async function codeRm(names: readonly string[], options: TenantOption): Promise<void> {
  const removed = await openDoor().code.remove(names, { tenant: options.tenant });
  const lines = removed.map(
    ({ name, revisions }) => `${name}: removed, revisions ${revisions.join(', ')}\n`,
  );
  await printAnswer(removed, options, () => lines.join(''));
}

type CodeExchangeOptions = RegistryCommandOptions & TenantOption;

/** Copies a package to a registry. Prints the reference and image that `code pull` takes. */
export async function codePush(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const own = { ...toRegistryOptions(options), tenant: options.tenant };
  const pushed = await withProgress(
    (exchange, _, code) => code.push(name, reference, { ...exchange, ...own }),
    options,
  );
  await printAnswer(pushed, options, () => `${pushed.reference} ${pushed.image}\n`);
}

/** Makes an image of a registry the current revision of a code package. */
export async function codePull(
  name: string,
  reference: string,
  options: CodeExchangeOptions,
): Promise<void> {
  const own = { ...toRegistryOptions(options), tenant: options.tenant, makeCurrent: true };
  const pulled = await withProgress(
    (exchange, _, code) => code.pull(name, reference, { ...exchange, ...own }),
    options,
  );
  const state = pulled.isNew ? 'added' : 'unchanged';
  const text = `${pulled.name}@rev:${pulled.revision} ${pulled.image} ${state}\n`;
  await printAnswer(pulled, options, () => text);
}
