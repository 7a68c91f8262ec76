/** Runs a build step as a task of its own, and stores its outcome. Loaded only when no cached build fits. */
import { closeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hasCode, messageOf, StackshimError } from '../../core/errors.ts';
import type { BuildKey } from '../../core/ids.ts';
import { tmpDir } from '../../core/layout.ts';
import type { LayerSource } from '../../core/mount.ts';
import { packDigestedCode } from '../../packages/pack-code.ts';
import {
  type BuildFailure,
  type BuiltPart,
  type PartName,
  toBuiltRecord,
} from '../../store/built/built-record.ts';
import { storeBuildLog, storeBuilt } from '../../store/built/store-built.ts';
import { temporaryPath } from '../../store/stale-files.ts';
import { ensureDirectory } from '../../sys/write-file.ts';
import { killAll } from '../ending/kill-processes.ts';
import type { Removal } from '../ending/remove-task.ts';
import type { TaskListener } from '../events.ts';
import type { Installation } from '../installation.ts';
import type { TaskPlan } from '../plan-task.ts';
import type { TaskResult } from '../result.ts';
import { StreamCapture } from '../streams/capture.ts';
import type { OutputSink } from '../streams/output-sink.ts';
import { toBuildFailure } from './build-failure.ts';
import { tailOf } from './find-built.ts';
import { type OpenedUpper, openUpper, packBuilt } from './pack-built.ts';
import { planBuild } from './plan-build.ts';

/** Most bytes of the log; a longer log loses its middle. */
const LOG_BYTES = 1024 * 1024;

export interface BuildRunOptions {
  /** An abort kills the build at once. */
  readonly killSignal: AbortSignal;
  readonly onEvent: TaskListener;
  readonly stdout: OutputSink;
  readonly stderr: OutputSink;
  readonly codeLayers: readonly LayerSource[];
  readonly onMounted: () => void;
}

/** Runs a planned task to its end, and leaves the removal to the caller. */
export type RunBuild = (
  plan: TaskPlan,
  options: BuildRunOptions,
) => Promise<{ readonly result: TaskResult; readonly remove: () => Promise<Removal> }>;

export interface BuildStepContext {
  readonly key: BuildKey;
  readonly codeDigest: string;
  readonly command: readonly string[];
  readonly installation: Installation;
  /** The plan of the task that needs the build. */
  readonly plan: TaskPlan;
  readonly signal: AbortSignal;
  readonly emit: TaskListener;
  readonly runBuild: RunBuild;
  /** Gets the outcome of removing the build step's task. */
  readonly onRemoved: (removal: Removal) => void;
}

export interface EndedBuild {
  readonly failure: BuildFailure | null;
  readonly logTail: string;
}

/**
 * Runs the build step and stores its outcome and log. Precondition: the caller holds the build's lock. Rejects if the build was not at fault,
 * or if it was ended together with the task that needs it.
 */
export async function runBuildStep(context: BuildStepContext): Promise<EndedBuild> {
  const { key, command, installation, plan, signal } = context;
  const { layout, system } = installation;
  await ensureDirectory(tmpDir(layout), 0o700);
  const files = {
    code: temporaryPath(layout, '.code.erofs'),
    task: temporaryPath(layout, '.task.erofs'),
  };
  try {
    const { code, buildFiles: only } = plan.command.spec;
    const reading = { workers: { system, layout }, followLinks: false, only, signal };
    const packed = await packDigestedCode(code, files.code, { ...reading, compression: 'lz4' });
    if (packed.digest !== context.codeDigest) {
      const message = `read code ${code}: changed while it was read`;
      throw new StackshimError('ERR_STACKSHIM_CODE_INVALID', message);
    }
    const buildPlan = planBuild(installation, plan, command);
    const { built, ...ran } = await runAndPack(context, buildPlan, files);
    const { failure } = ran;
    const { sha256, sizeBytes } = packed.file;
    const parts = built === undefined ? null : { code: { sha256, sizeBytes }, task: built };
    const { pinned, spec, places } = buildPlan.container;
    const { memoryBytes, diskBytes } = spec.limits;
    const { timeoutMs } = buildPlan.command.spec.limits;
    const record = toBuiltRecord({
      key,
      tenant: spec.tenant ?? null,
      stack: pinned.stack,
      image: pinned.image.digest,
      command,
      task: places.id,
      bounds: { timeoutMs, memoryBytes, diskBytes },
      endedAt: new Date().toISOString(),
      parts,
      failure,
    });
    await storeBuilt(layout, record, parts === null ? undefined : files);
    return { failure, logTail: failure === null ? '' : ran.logTail };
  } finally {
    for (const file of Object.values(files)) await rm(file, { force: true });
  }
}

/** The build failed if `built` is absent. */
type RanBuild = EndedBuild & { readonly built?: BuiltPart };

/** @param files The paths of the parts. */
async function runAndPack(
  context: BuildStepContext,
  buildPlan: TaskPlan,
  files: Readonly<Record<PartName, string>>,
): Promise<RanBuild> {
  const { key, installation, plan, signal, emit } = context;
  const { places } = buildPlan.container;
  const { id } = plan.container.places;
  // Both streams go into one log, in the order of writing.
  const log = new StreamCapture(LOG_BYTES);
  const sink: OutputSink = { write: (chunk) => log.push(chunk) };
  const opened: OpenedUpper[] = [];
  const close = () => {
    for (const { fd } of opened.splice(0)) closeSync(fd);
  };
  try {
    const { result, remove } = await context.runBuild(buildPlan, {
      killSignal: signal,
      onEvent({ type }) {
        // From now on, others can find the build's task.
        if (type === 'accepted') emit({ type: 'building', id, key, build: places.id });
      },
      stdout: sink,
      stderr: sink,
      codeLayers: [{ kind: 'file', path: files.code }],
      onMounted() {
        opened.push(openUpper(places));
      },
    });
    try {
      await storeBuildLog(installation.layout, key, log.text());
      signal.throwIfAborted();
      const logTail = tailOf(log.text());
      const failure = toBuildFailure(result, plan.command.spec.limits);
      const [upper] = opened;
      if (failure !== null || upper === undefined) return { failure, logTail };
      // A remaining process could change the folder while it is read.
      await killAll(installation, places.cgroupsPath);
      const { diskBytes } = buildPlan.container.spec.limits;
      const packing = { installation, diskBytes, signal };
      return await packOrFail(logTail, () => packBuilt(upper, files.task, packing));
    } finally {
      // The open folder holds disk space that the removal frees, so close it first.
      close();
      context.onRemoved(await remove());
    }
  } finally {
    close();
  }
}

/** Errors of packing that are the fault of the content of `/task`. */
const OF_CONTENT = ['ERR_STACKSHIM_TASK_BUILD_FAILED', 'ERR_STACKSHIM_LAYER_TOO_LARGE'] as const;

async function packOrFail(logTail: string, pack: () => Promise<BuiltPart>): Promise<RanBuild> {
  try {
    return { failure: null, logTail, built: await pack() };
  } catch (error) {
    if (!OF_CONTENT.some((code) => hasCode(error, code))) throw error;
    const ended = { verdict: 'succeeded', exitCode: 0, signal: null };
    return { failure: { ...ended, reason: messageOf(error) }, logTail };
  }
}
