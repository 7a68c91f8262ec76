/** `stackshim doctor`: what this host can and cannot guarantee, and the store of the queues if one is named. */
import type { Check } from '../../doctor/check.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { JsonOption } from '../define/shared-options.ts';
import { formatTable } from '../print/format-table.ts';
import { printAnswer } from '../print/print.ts';
import { readStoreAddress, type StoreOptions } from '../queues/store-address.ts';

/** Resolves to the exit status: 1 if no task can run here, or no worker can use the store. */
export async function doctor(options: StoreOptions & JsonOption): Promise<number> {
  const [{ checks, canRunTasks }, store] = await Promise.all([
    openDoor().doctor(),
    diagnoseStore(options),
  ]);
  const all = [...checks, ...(store ?? [])];
  const canUseStore = store?.every(({ status }) => status !== 'fail');
  const findings = { checks: all, canRunTasks, canUseStore };
  await printAnswer(findings, options, () => format(all, canRunTasks, canUseStore));
  return canRunTasks && canUseStore !== false ? 0 : 1;
}

/** Returns undefined if neither the command line nor the environment names a store. */
async function diagnoseStore(options: StoreOptions): Promise<readonly Check[] | undefined> {
  const isNamed = options.store !== undefined || options.storePasswordFile !== undefined;
  if (!(isNamed || process.env['STACKSHIM_STORE_URL'])) return undefined;
  const { url } = readStoreAddress(options, process.env);
  const { checkStore } = await import('../../worker/queue-store/check-store.ts');
  return (await checkStore(url)).map((check) => ({ ...check, required: false }));
}

function format(
  checks: readonly Check[],
  canRunTasks: boolean,
  canUseStore: boolean | undefined,
): string {
  const table = formatTable(
    ['STATUS', 'CHECK', 'FINDING'],
    checks.map(({ status, name, message }) => [status, name, message]),
    { wrap: true },
  );
  const hints = checks.flatMap(({ name, hint }) => (hint === undefined ? [] : [[name, hint]]));
  const failed = checks.filter((check) => check.required && check.status === 'fail');
  const verdict = canRunTasks
    ? 'tasks can run on this host'
    : `tasks cannot run on this host: ${failed.map(({ name }) => name).join(', ')}`;
  return [
    table,
    ...(hints.length === 0 ? [] : [formatTable(['CHECK', 'WHAT TO DO'], hints, { wrap: true })]),
    canUseStore === false ? `${verdict}, but workers cannot use the store\n` : `${verdict}\n`,
  ].join('\n');
}
