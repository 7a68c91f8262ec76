/** Finds the stacks that a Dockerfile builds on. Pure. */
import { isStackName, type StackName } from '../core/ids.ts';

export interface DockerfileStacks {
  /** The stack that the image is based on: the last `FROM`, if it is a stack of this machine (`localhost/NAME`). */
  readonly base: StackName | undefined;
  /** Every stack of this machine that a stage begins with or copies from, once. */
  readonly all: readonly StackName[];
}

const FROM = /^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?/gim;
/** `COPY --from=…`, `RUN --mount=type=bind,from=…`. */
const FROM_OPTION = /^[ \t]*(?:COPY|ADD|RUN)[ \t].*?\bfrom=([^\s,]+)/gim;

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
