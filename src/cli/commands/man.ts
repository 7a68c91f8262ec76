/** `stackshim man`: writes the manual pages of all commands into a folder. */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isUsedUp, reasonOf, StackshimError, toStackshimError } from '../../core/errors.ts';
import { PathRefusal } from '../../sys/output/open-folder.ts';
import { closeOutputPlace, openOutputPlace } from '../../sys/output/output-place.ts';
import { toAbsolute } from '../../sys/paths.ts';
import { listPages, type ManualPage } from '../manual/list-pages.ts';
import { print } from '../print/print.ts';
import { replaceFile } from '../run/run-outputs.ts';

const FOLDER_MODE = 0o755;

/** Makes a missing folder, and replaces pages of an earlier call. Prints the name of each page. */
export async function man(program: Command, folder: string): Promise<void> {
  if (folder === '') throw toWriteError(folder, new PathRefusal('no folder is named'));
  const place = resolve(toAbsolute(folder));
  const pages = listPages(program, dateOfPages());
  // Every user must be able to read the pages, whatever the umask is.
  process.umask(0o022);
  try {
    mkdirSync(place, { recursive: true, mode: FOLDER_MODE });
    for (const page of pages) writePage(place, page);
  } catch (error) {
    throw toWriteError(folder, error);
  }
  await print(pages.map(({ file }) => `${file}\n`).join(''));
}

/** SOURCE_DATE_EPOCH makes the pages reproducible: https://reproducible-builds.org/specs/source-date-epoch/ */
function dateOfPages(): Date {
  const epoch = process.env['SOURCE_DATE_EPOCH'] ?? '';
  return /^\d{1,11}$/.test(epoch) ? new Date(Number(epoch) * 1000) : new Date();
}

function writePage(folder: string, { file, text }: ManualPage): void {
  const place = openOutputPlace(`${folder}/${file}`);
  if (place.kind !== 'file') {
    closeOutputPlace(place);
    throw new PathRefusal(`${file} is not a file`);
  }
  replaceFile(place, text);
}

function toWriteError(folder: string, error: unknown): StackshimError {
  const what = `write manual pages to ${folder}`;
  if (isUsedUp(error)) return toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', what);
  return new StackshimError('ERR_STACKSHIM_SPEC_INVALID', `${what}: ${reasonOf(error)}`, {
    cause: error,
    hint: 'name a folder to which you can write, for example /usr/local/share/man/man1',
    details: { path: folder },
  });
}
