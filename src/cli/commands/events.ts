/** `stackshim events`: prints events of tasks as they happen. */

import { toPrintable } from '../../core/errors.ts';
import { openDoor } from '../../door/open-stackshim.ts';
import type { InstallationEvent } from '../../task/live/watch-events.ts';
import { type FormatOption, wantsJson } from '../define/shared-options.ts';
import { openPrinter } from '../print/print.ts';
import { parseFilters } from '../task-filters.ts';

/** Prints a line for each event until a signal stops this process. */
export async function events(
  options: FormatOption & { readonly filter?: readonly string[] },
): Promise<void> {
  const passes = parseFilters(options.filter ?? [], ['id', 'stack', 'tenant', 'label', 'event']);
  const isJson = wantsJson(options);
  const { whileStoppable } = await import('../run/caller-signals.ts');
  const gone = new AbortController();
  const printer = openPrinter(() => gone.abort());
  await whileStoppable((signal) =>
    openDoor().events({
      signal: AbortSignal.any([signal, gone.signal]),
      async onEvent(event) {
        // `lost` passes every filter: the reader must know that events are missing.
        if (event.type !== 'lost' && !passes({ ...event, event: event.type })) return;
        await (isJson ? printer.printJsonLine(event) : printer.print(`${toLine(event)}\n`));
      },
    }),
  );
}

/** Formats `2026-11-28T22:00:00.000Z task exited job-7 (stack=python-3.13, exitCode=0)`, like docker's events. */
function toLine(event: InstallationEvent): string {
  const { at, type } = event;
  if (type === 'lost') return `${at} events lost: they were not read in time`;
  // `rest` has the fields that only this type of event has.
  const { id, stack, revision, tenant, labels, at: _, type: __, ...rest } = event;
  const told = Object.entries({ stack, tenant, ...rest, ...labels });
  const shown = told.filter(([, value]) => value !== null && value !== undefined);
  const attributes = shown.map(([name, value]) => toPrintable(`${name}=${value}`));
  return `${at} task ${type} ${id} (${attributes.join(', ')})`;
}
