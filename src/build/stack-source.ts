/** The source of a stack: its Dockerfile and `base.json`, read from the copy that is built. */
import { type BaseDefinition, parseBaseDefinition } from './base-definition.ts';
import type { BuildContext } from './build-context.ts';
import { type DockerfileStacks, parseDockerfile } from './parse-dockerfile.ts';
import { readDockerfile, readSmallFile, type StackFolder } from './stack-folder.ts';

export interface StackSource extends Pick<StackFolder, 'path' | 'name'> {
  readonly context: BuildContext;
  /** The stacks that its Dockerfile names. */
  readonly stacks: DockerfileStacks;
  /** The content of its `base.json`, which describes its `rootfs.tar`. */
  readonly definition: BaseDefinition | undefined;
}

/** Reads the copy of a stack's folder. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_BUILD_FAILED. */
export function readStackSource({ path, name }: StackFolder, context: BuildContext): StackSource {
  const definition = readSmallFile(path, 'base.json', context.directory);
  return {
    path,
    name,
    context,
    stacks: parseDockerfile(readDockerfile(path, context.directory)),
    definition: definition === undefined ? undefined : parseBaseDefinition(definition, path),
  };
}
