/** The artefacts of jobs: outputs of their tasks, in a folder of the worker, at `<lane>/<id>/<attempt>/…`. */
import { lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toStackshimError } from '../../core/errors.ts';
import type { Artefact } from '../job/job-result.ts';

/** The most files in a result, and the most characters of their names together: an oversized result cannot be read back. */
const LISTED = 1_000;
const LISTED_CHARS = 262_144;
const DEEPEST = 120;

/** Creates the folders for an attempt's outputs, accessible to root only. Throws ERR_STACKSHIM_SYSTEM. */
export async function makeArtefactFolders(folders: readonly string[]): Promise<void> {
  try {
    for (const folder of folders) await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw toStackshimError(error, 'ERR_STACKSHIM_SYSTEM', 'make a folder for artefacts');
  }
}

/** Lists an attempt's files as paths below the job's folder. Nobody changes the files any more, but the task chose their names. */
export async function listArtefacts(job: string, attempt: number): Promise<readonly Artefact[]> {
  const found: Artefact[] = [];
  let leftChars = LISTED_CHARS;
  const isFull = () => found.length >= LISTED || leftChars <= 0;
  const walk = async (path: string, depth: number): Promise<void> => {
    if (depth > DEEPEST || isFull()) return;
    for (const entry of await readdir(join(job, path), { withFileTypes: true })) {
      if (isFull()) return;
      const below = join(path, entry.name);
      if (entry.isDirectory()) await walk(below, depth + 1);
      else if (entry.isFile()) {
        leftChars -= JSON.stringify(below).length;
        // A name that is not UTF-8 is listed with replacement characters, under which no file is found.
        const { size } = await lstat(join(job, below)).catch(() => ({ size: 0 }));
        found.push({ path: below, sizeBytes: size });
      }
    }
  };
  await walk(String(attempt), 0);
  return found;
}
