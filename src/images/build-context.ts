/** Copies what a Dockerfile may copy into the builder's folder, with times that do not tell when it was checked out. */
import { lutimes, readdir } from 'node:fs/promises';
import fs from 'fs-extra';
import { guardDisk } from '../layers/guard-disk.ts';
import type { StackDirectory } from './stack-directory.ts';

/** Where the copies lie. */
export interface BuildContext {
  readonly directory: string;
  readonly shared: string | undefined;
}

/** For files of an image that stands on nothing: no archive format has trouble with 1980. */
export const OLDEST_EPOCH = Date.UTC(1980, 0, 1) / 1000;

/** Copies a stack's folder and the `shared` one beside it. Every time becomes `epoch`, in seconds since 1970. */
export async function copyBuildContext(
  source: StackDirectory,
  work: string,
  epoch: number,
): Promise<BuildContext> {
  const directory = `${work}/context`;
  await copyFolder(source.path, directory, epoch);
  if (source.shared === undefined) return { directory, shared: undefined };
  const shared = `${work}/shared`;
  await copyFolder(source.shared, shared, epoch);
  return { directory, shared };
}

async function copyFolder(from: string, to: string, epoch: number): Promise<void> {
  await guardDisk(`copy ${from}`, async () => {
    await fs.copy(from, to);
    for (const name of await readdir(to, { recursive: true })) {
      await lutimes(`${to}/${name}`, epoch, epoch);
    }
    await lutimes(to, epoch, epoch);
  });
}
