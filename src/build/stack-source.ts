/** The source of a stack: its Dockerfile and `base.json`, read from the copy that is built. */
import * as z from 'zod/mini';
import { checkSafely } from '../core/check-safely.ts';
import { messageOf, StackshimError } from '../core/errors.ts';
import { isStackName, type StackName } from '../core/ids.ts';
import type { BuildContext } from './build-context.ts';
import { readDockerfile, readSmallFile, type StackFolder } from './stack-folder.ts';

export interface StackSource extends Pick<StackFolder, 'path' | 'name'> {
  readonly context: BuildContext;
  /** The stacks that the Dockerfile names. */
  readonly stacks: DockerfileStacks;
  /** The content of `base.json`, which describes `rootfs.tar`. */
  readonly definition: BaseDefinition | undefined;
}

/** Reads the copy of a stack's folder. Throws ERR_STACKSHIM_INPUT_NOT_FOUND, ERR_STACKSHIM_BUILD_FAILED. */
export function readStackSource({ path, name }: StackFolder, context: BuildContext): StackSource {
  const dockerfile = readDockerfile(path, context.directory);
  const definition = readSmallFile(path, 'base.json', context.directory);
  return {
    path,
    name,
    context,
    stacks: parseDockerfile(dockerfile),
    definition: definition === undefined ? undefined : parseBaseDefinition(definition, path),
  };
}

export interface DockerfileStacks {
  /** The stack that the image is based on: the last `FROM`, if it is a stack of this machine (`localhost/NAME`). */
  readonly base: StackName | undefined;
  /** Every stack of this machine that a stage begins with or copies from, once. */
  readonly all: readonly StackName[];
}

const FROM = /^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?/gim;
/** `COPY --from=…`, `RUN --mount=type=bind,from=…`. */
const FROM_OPTION = /^[ \t]*(?:COPY|ADD|RUN)[ \t].*?\bfrom=([^\s,]+)/gim;

/** Finds the stacks that a Dockerfile builds on. Pure. */
export function parseDockerfile(dockerfile: string): DockerfileStacks {
  /** The base of each named stage. */
  const stages = new Map<string, string>();
  const named: string[] = [];
  let last = '';
  for (const [, image = '', stage] of dockerfile.matchAll(FROM)) {
    last = stages.get(image.toLowerCase()) ?? image;
    named.push(last);
    if (stage !== undefined) stages.set(stage.toLowerCase(), last);
  }
  for (const [, image = ''] of dockerfile.matchAll(FROM_OPTION)) named.push(image);
  const stacks = named.map(toStack).filter((name) => name !== undefined);
  return { base: toStack(last), all: [...new Set(stacks)] };
}

function toStack(image: string): StackName | undefined {
  const name = /^localhost\/([^:@/]+)(?::latest)?$/.exec(image)?.[1];
  return name !== undefined && isStackName(name) ? name : undefined;
}

const word = /^[a-z0-9][a-z0-9.+-]*$/;

const dpkgLine = /^path-(?:exclude|include)=\/\S+$/;
const MAX_PACKAGES = 1000;

const debianSchema = z.strictObject({
  /** Debian's name of the release: `trixie`. */
  suite: z.string().check(z.regex(word, 'not the name of a release')),
  /** Packages in addition to the minimal ones. */
  include: z
    .array(z.string().check(z.regex(word, 'not the name of a package')))
    .check(z.maxLength(MAX_PACKAGES)),
  /** Lines for dpkg's configuration in the base (`path-exclude=…`). They also apply to the stacks on top of it. */
  dpkg: z.array(z.string().check(z.regex(dpkgLine, 'not a path-exclude or path-include'))),
});

const baseSchema = z.strictObject({
  version: z.literal(1),
  /** Describes `rootfs.tar`, which is made next to the Dockerfile. */
  debian: debianSchema,
});

export type BaseDefinition = z.infer<typeof baseSchema>;
export type DebianDefinition = z.infer<typeof debianSchema>;

/** Parses the text of a `base.json`, which docs/stacks.md describes. Throws ERR_STACKSHIM_BUILD_FAILED. */
export function parseBaseDefinition(text: string, directory: string): BaseDefinition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw toInvalid(directory, `not JSON: ${messageOf(error)}`, error);
  }
  const parsed = checkSafely(() => baseSchema.safeParse(value));
  if (parsed?.success) return parsed.data;
  const issue = parsed?.error.issues[0];
  throw toInvalid(
    directory,
    `${issue?.path.join('.') ?? 'file'}: ${issue?.message ?? 'not valid'}`,
  );
}

function toInvalid(directory: string, reason: string, cause?: unknown): StackshimError {
  const text = `read ${directory}/base.json: ${reason}`;
  const hint = 'correct the named field; docs/stacks.md lists the fields';
  return new StackshimError('ERR_STACKSHIM_BUILD_FAILED', text, { hint, cause });
}
