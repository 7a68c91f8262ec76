/** `stackshim doctor`: what this host can and cannot guarantee. */
import type { Diagnosis } from '../../doctor/diagnose-host.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import { formatTable } from '../format-table.ts';
import { print, printJson } from '../print.ts';

/** Resolves to the exit status: 1 if no task can run here. */
export async function doctor(options: { readonly json?: boolean }): Promise<number> {
  const diagnosis = await openDoor().doctor();
  if (options.json) await printJson(diagnosis);
  else await print(formatDiagnosis(diagnosis));
  return diagnosis.canRunTasks ? 0 : 1;
}

function formatDiagnosis({ checks, canRunTasks }: Diagnosis): string {
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
    `${verdict}\n`,
  ].join('\n');
}
