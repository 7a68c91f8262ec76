/** The source of a stack: its Dockerfile and `base.json`, read from the copy that is built. */
import { errnoCodeOf, StackshimError } from '../core/errors.ts';
import type { StackName } from '../core/ids.ts';
import { readBoundedFile } from '../sys/files.ts';
import { type BaseDefinition, parseBaseDefinition } from './base-definition.ts';
import type { BuildContext } from './build-context.ts';
import { type DockerfileStacks, parseDockerfile } from './parse-dockerfile.ts';
import { MAX_READ_BYTES, type StackFolder, toUnreadable } from './stack-folder.ts';

export interface StackSource {
  /** The stack's folder: absolute, links resolved. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: StackName;
  readonly context: BuildContext;
  /** The stacks that its Dockerfile names. */
  readonly stacks: DockerfileStacks;
  /** The content of its `base.json`, which describes its `rootfs.tar`. */
  readonly definition: BaseDefinition | undefined;
}

/** Reads the copy of a stack's folder. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_BUILD_FAILED. */
export function readStackSource({ path, name }: StackFolder, context: BuildContext): StackSource {
  const dockerfile = readCopied(context, path, 'Dockerfile');
  if (dockerfile === undefined) {
    throw new StackshimError(
      'ERR_STACKSHIM_INPUT_NOT_FOUND',
      `build ${path}: it has no Dockerfile`,
      { details: { path: `${path}/Dockerfile` } },
    );
  }
  const definition = readCopied(context, path, 'base.json');
  return {
    path,
    name,
    context,
    stacks: parseDockerfile(dockerfile),
    definition: definition === undefined ? undefined : parseBaseDefinition(definition, path),
  };
}

function readCopied(context: BuildContext, path: string, name: string): string | undefined {
  try {
    return readBoundedFile(`${context.directory}/${name}`, { maxBytes: MAX_READ_BYTES });
  } catch (error) {
    if (errnoCodeOf(error) === 'ENOENT') return undefined;
    throw toUnreadable(`${path}/${name}`, error);
  }
}
