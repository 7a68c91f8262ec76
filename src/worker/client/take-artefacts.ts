/** Copies a job's artefacts out of the folder where workers keep them. */
import { constants } from 'node:fs';
import { copyFile, lstat, mkdir, readdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, StackshimError } from '../../core/errors.ts';
import type { JobResult } from '../job/job-result.ts';
import { artefactsOf } from '../job/kept-files.ts';
import { type JobPlace, jobName } from '../job/lane.ts';
import type { TakenArtefact } from './queues.ts';

/**
 * Copies files, folders and links, and follows no link, because a task made them. Throws ERR_STACKSHIM_OUTPUT_FAILED if a file exists already or
 * cannot be read, ERR_STACKSHIM_INPUT_NOT_FOUND if this machine does not have the artefacts.
 */
export async function takeArtefacts(
  place: JobPlace,
  { attempt, artefacts }: Pick<JobResult, 'attempt' | 'artefacts'>,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<readonly TakenArtefact[]> {
  await mkdir(to, { recursive: true });
  if (artefacts.length === 0) return [];
  const source = join(artefactsOf(from, place), String(attempt));
  const found = await lstat(source).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    const text = `take artefacts of job ${jobName(place)}: ${source}: no such folder`;
    throw new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', text, {
      hint: 'name the folder where the workers keep artefacts, as this machine sees it',
    });
  }
  try {
    return await copyFolder(source, to, '');
  } catch (error) {
    // The file that could not be created or read.
    const { dest, path } = error as { readonly dest?: string; readonly path?: string };
    const file = dest ?? path;
    const message = `take artefacts of job ${jobName(place)}: ${file === undefined ? '' : `${file}: `}${reasonOf(error)}`;
    const hint = 'name a new or empty folder that has room';
    throw new StackshimError('ERR_STACKSHIM_OUTPUT_FAILED', message, { cause: error, hint });
  }
}

async function copyFolder(
  source: string,
  target: string,
  below: string,
): Promise<readonly TakenArtefact[]> {
  const taken: TakenArtefact[] = [];
  for (const entry of await readdir(join(source, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    const [from, to] = [join(source, path), join(target, path)];
    if (entry.isDirectory()) {
      await mkdir(to);
      taken.push(...(await copyFolder(source, target, path)));
    } else if (entry.isFile()) {
      await copyFile(from, to, constants.COPYFILE_EXCL);
      taken.push({ path, sizeBytes: (await lstat(to)).size });
    } else if (entry.isSymbolicLink()) {
      await symlink(await readlink(from), to);
    }
  }
  return taken;
}
