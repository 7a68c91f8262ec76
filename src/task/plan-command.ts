/** What makes a command in a container. */
import { constants } from 'node:os';
import { resolveCommand } from '../oci/resolve-command.ts';
import { toSignalNumber } from '../spec/parse-signal.ts';
import type { CommandSpec } from '../spec/task-spec.ts';
import type { ImageConfig } from '../stacks/image.ts';
import { planInputFiles, type TaskFile } from './task-inputs.ts';

export interface CommandPlan {
  readonly spec: CommandSpec;
  /** What to run, entrypoint included; never empty. */
  readonly command: readonly string[];
  /** What a stop begins with. */
  readonly stopSignal: number;
  /** Payload and config. */
  readonly files: readonly TaskFile[];
}

const { SIGTERM } = constants.signals;

/** Throws ERR_STACKSHIM_SPEC_INVALID. */
export const planCommand = (spec: CommandSpec, image: ImageConfig): CommandPlan => ({
  spec,
  command: resolveCommand(image, spec),
  stopSignal: spec.stopSignal ?? toSignalNumber(image.stopSignal ?? '') ?? SIGTERM,
  files: planInputFiles(spec),
});
