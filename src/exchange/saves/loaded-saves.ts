/** `stacks/<name>/loaded.json`: stores the date of the newest loaded save, so that an older one cannot be passed off as new. */
import type { StackName } from '../../core/ids.ts';
import { type Layout, stackDir } from '../../core/layout.ts';
import { date, objectOf } from '../../core/read-fields.ts';
import { readCurrentGeneration, revisionIn } from '../../store/stacks/generations.ts';
import { readStackHistory } from '../../store/stacks/stack-history.ts';
import { withStacksLock } from '../../store/stacks-lock.ts';
import {
  FORMAT_VERSION,
  readStoredJson,
  type StoredVersion,
  version,
} from '../../store/stored-json.ts';
import { guardDisk } from '../../sys/guard-disk.ts';
import type { System } from '../../sys/system.ts';
import { writeFileAtomic } from '../../sys/write-file.ts';

const reader = objectOf<{ readonly newest: string } & StoredVersion>({ version, newest: date });

const loadedFile = (layout: Layout, name: StackName) => `${stackDir(layout, name)}/loaded.json`;

/**
 * The date, in ISO 8601, that a new save of the stack must exceed: the latest of the newest loaded save, and the newest revision made here
 * that was ever current. A rollback does not lower it. Undefined if the stack has no current revision, because nothing would be replaced.
 * Blocks. Throws ERR_STACKSHIM_STACK_CORRUPT.
 */
export function readNewestDate(layout: Layout, name: StackName): string | undefined {
  if (revisionIn(readCurrentGeneration(layout), name) === undefined) return undefined;
  const dates = readStackHistory(layout, name)
    .filter(({ state }) => state !== 'unproven')
    .map(({ createdAt, source }) =>
      source.kind === 'import' ? (source.savedAt ?? createdAt) : createdAt,
    );
  return newestOf([...dates, readLoaded(layout, name)]);
}

/** Stores durably that a save of this date was loaded. */
export async function rememberSave(
  layout: Layout,
  system: System,
  { stack, savedAt }: { readonly stack: StackName; readonly savedAt: string },
): Promise<void> {
  const remember = async () => {
    const before = readLoaded(layout, stack);
    if (newestOf([before, savedAt]) === before) return;
    const text = `${JSON.stringify({ version: FORMAT_VERSION, newest: savedAt })}\n`;
    await guardDisk(`write ${loadedFile(layout, stack)}`, () =>
      writeFileAtomic(loadedFile(layout, stack), text, { durable: true }),
    );
  };
  await withStacksLock(layout, remember, { system });
}

function readLoaded(layout: Layout, name: StackName): string | undefined {
  const stored = readStoredJson(loadedFile(layout, name), {
    reader,
    code: 'ERR_STACKSHIM_STACK_CORRUPT',
    what: 'date of the newest save',
  });
  return stored?.newest;
}

function newestOf(dates: readonly (string | undefined)[]): string | undefined {
  let newest: string | undefined;
  for (const one of dates) {
    if (one === undefined) continue;
    if (newest === undefined || Date.parse(one) > Date.parse(newest)) newest = one;
  }
  return newest;
}
