/** `stacks/<name>/removed.json`: stores the numbers of removed revisions, so that none is used twice. */
import type { StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { objectOf } from '../../core/read-fields.ts';
import { writeFileAtomic } from '../../sys/write-file.ts';
import {
  FORMAT_VERSION,
  number,
  readStoredJson,
  type StoredVersion,
  version,
} from '../stored-json.ts';

const reader = objectOf<{ readonly last: number } & StoredVersion>({ version, last: number });

const removedFile = (layout: Layout, name: StackName) => `${stackDir(layout, name)}/removed.json`;

/** The largest number of a removed revision of the stack; 0 if none was removed. Throws ERR_STACKSHIM_STACK_CORRUPT. */
export function readLastRemoved(layout: Layout, name: StackName): number {
  const stored = readStoredJson(removedFile(layout, name), {
    reader,
    code: 'ERR_STACKSHIM_STACK_CORRUPT',
    what: 'list of removed revisions',
  });
  return stored?.last ?? 0;
}

/** Stores durably that numbers up to `last` are used up. Precondition: the caller holds the stacks lock. */
export async function writeLastRemoved(
  layout: Layout,
  name: StackName,
  last: number,
): Promise<void> {
  if (readLastRemoved(layout, name) >= last) return;
  const text = `${JSON.stringify({ version: FORMAT_VERSION, last })}\n`;
  await writeFileAtomic(removedFile(layout, name), text, { durable: true });
}
