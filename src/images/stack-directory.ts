/** A stack's folder: one Dockerfile and the files it copies. What is in it, read once, before anything is built. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errnoCodeOf, messageOf, StackshimError } from '../core/errors.ts';
import { isStackName, type StackName } from '../core/ids.ts';
import { type BaseDefinition, parseBaseDefinition } from './base-definition.ts';
import { type DockerfileStacks, parseDockerfile } from './parse-dockerfile.ts';

export interface StackDirectory {
  /** Absolute, links resolved. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: StackName;
  /** The stacks that its Dockerfile names. */
  readonly stacks: DockerfileStacks;
  /** Of its `base.json`: what its `rootfs.tar` is made of. */
  readonly definition: BaseDefinition | undefined;
  /** The folder `shared` beside it, offered to the Dockerfile as `COPY --from=shared`; undefined when there is none. */
  readonly shared: string | undefined;
  /** Lower-case hex sha256 over every file of the folder and of `shared`. */
  readonly filesHash: string;
}

const MAX_DOCKERFILE_BYTES = 1024 * 1024;
const MOST_FILES = 10_000;

/** Reads a stack's folder. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_SPEC_INVALID, ERR_STACKSHIM_BUILD_FAILED. */
export async function readStackDirectory(directory: string): Promise<StackDirectory> {
  const path = await resolveDirectory(directory);
  const name = basename(path);
  if (!isStackName(name)) {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `build ${path}: ${JSON.stringify(name)} is not a stack name`,
      {
        hint: 'name the folder in lower-case letters and digits, with single ".", "_" or "-" between them',
        details: { field: 'directory', directory: path },
      },
    );
  }
  const dockerfile = await readSmallFile(`${path}/Dockerfile`);
  if (dockerfile === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      `build ${path}: it has no Dockerfile`,
      {
        details: { path: `${path}/Dockerfile` },
      },
    );
  }
  const definition = await readSmallFile(`${path}/base.json`);
  const shared = await findShared(path);
  return {
    path,
    name,
    stacks: parseDockerfile(dockerfile),
    definition: definition === undefined ? undefined : parseBaseDefinition(definition, path),
    shared,
    filesHash: await hashFolders(shared === undefined ? [path] : [path, shared]),
  };
}

async function resolveDirectory(directory: string): Promise<string> {
  try {
    const path = await realpath(directory);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    throw toUnreadable(directory, error);
  }
  throw toUnreadable(directory, new Error('not a folder'));
}

async function findShared(path: string): Promise<string | undefined> {
  const shared = `${dirname(path)}/shared`;
  try {
    return (await stat(shared)).isDirectory() ? shared : undefined;
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw toUnreadable(shared, error);
  }
}

async function readSmallFile(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > MAX_DOCKERFILE_BYTES) throw new Error(`larger than ${MAX_DOCKERFILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw toUnreadable(path, error);
  }
}

async function hashFolders(folders: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of folders) {
    const files = (await readdir(folder, { recursive: true })).sort();
    if (files.length > MOST_FILES) {
      throw toUnreadable(folder, new Error(`more than ${MOST_FILES} files`));
    }
    hash.update(JSON.stringify(['folder', files.length]));
    for (const file of files) hash.update(await describeFile(folder, file));
  }
  return hash.digest('hex');
}

/** One line that differs when the file's name, kind, mode or content does; times do not count. */
async function describeFile(folder: string, name: string): Promise<string> {
  const path = `${folder}/${name}`;
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) return JSON.stringify(['link', name, await readlink(path)]);
  const mode = stats.mode & 0o7777;
  if (stats.isDirectory()) return JSON.stringify(['folder', name, mode]);
  if (!stats.isFile()) throw toUnreadable(path, new Error('not a file, folder or link'));
  const content = createHash('sha256');
  await pipeline(createReadStream(path), content);
  return JSON.stringify(['file', name, mode, content.digest('hex')]);
}

function toUnreadable(path: string, error: unknown): StackshimError {
  return new StackshimError('ERR_STACKSHIM_INPUT_NOT_FOUND', `read ${path}: ${messageOf(error)}`, {
    cause: error,
    details: { path },
  });
}
