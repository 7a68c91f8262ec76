/** `removed.json` beside the revisions of a stack or a code package: the numbers of removed revisions, so that none is used twice. */
import type { ErrorCode } from '../core/error-codes.ts';
import { objectOf } from '../core/read-fields.ts';
import {
  FORMAT_VERSION,
  number,
  readStoredJson,
  type StoredVersion,
  version,
} from './stored-json.ts';
import { writeStoredJson } from './write-stored-json.ts';

const reader = objectOf<{ readonly last: number } & StoredVersion>({ version, last: number });

export interface NumberedFolder {
  /** Holds the revisions. */
  readonly folder: string;
  /** The code of the error if the file is damaged. */
  readonly code: ErrorCode;
}

const fileIn = (folder: string) => `${folder}/removed.json`;

/** The largest number of a removed revision; 0 if none was removed. Throws an error with the code of the folder. */
export function readLastRemoved({ folder, code }: NumberedFolder): number {
  const what = 'list of removed revisions';
  return readStoredJson(fileIn(folder), { reader, code, what })?.last ?? 0;
}

/** Stores durably that numbers up to `last` are used up. Precondition: the caller holds the stacks lock. */
export async function writeLastRemoved(of: NumberedFolder, last: number): Promise<void> {
  if (readLastRemoved(of) >= last) return;
  await writeStoredJson(fileIn(of.folder), { version: FORMAT_VERSION, last });
}
