/** Receives the code, payload and config that a caller gives as bytes or as a stream. Loaded only for tasks with one of these. */
import { rm } from 'node:fs/promises';
import { StackshimError, toStackshimError } from '../core/errors.ts';
import { CODE_LIMITS } from '../packages/code-policy.ts';
import { requireCodeArchive } from '../packages/pack-code.ts';
import { invalidField } from '../spec/field-errors.ts';
import { SPEC_BOUNDS } from '../spec/spec-bounds.ts';
import { receiveFile } from '../store/receive-file.ts';
import { abortedEarly } from './admission/set-up-turns.ts';
import { type CallerStops, isAborted, signalsOf } from './ending/caller-stops.ts';
import type { TaskListener } from './events.ts';
import type { Installation } from './installation.ts';

/** Bytes, or a stream of bytes, which is read to its end. */
export type CallerBytes = Uint8Array | AsyncIterable<Uint8Array>;

export interface CallerInputs {
  /** A `.tar.gz` or `.zip` that replaces the task's field `code`. At most 2 GiB. Received before the task exists. */
  readonly code?: CallerBytes | undefined;
  /** Replaces the task's fields `payload` and `payloadFile`: any bytes, at most 16 MiB. Received before the task exists. */
  readonly payload?: CallerBytes | undefined;
  /** Replaces the task's field `configFile`: any bytes, at most 16 MiB. Received before the task exists. */
  readonly config?: CallerBytes | undefined;
}

/** Paths of received files, which only root can read. They replace the fields of these names, and the policy does not restrict them. */
export interface ReceivedInputs {
  readonly code?: string;
  readonly payloadFile?: string;
  readonly configFile?: string;
}

/** The task's field that each input replaces, and its maximum size. */
const INPUTS = {
  code: { field: 'code', maxBytes: CODE_LIMITS.bytes },
  payload: { field: 'payloadFile', maxBytes: SPEC_BOUNDS.payloadBytes },
  config: { field: 'configFile', maxBytes: SPEC_BOUNDS.payloadBytes },
} as const;

/**
 * Receives the inputs, then runs the task. Receives everything before the task acquires anything, because a caller may send for
 * hours. The files go when the container has their content, or when `run` settles. Throws ERR_STACKSHIM_SPEC_INVALID (not bytes, or
 * too many), ERR_STACKSHIM_CODE_INVALID, ERR_STACKSHIM_DISK_FULL, ERR_STACKSHIM_TASK_ABORTED, a stream's errors, and those of `run`.
 */
export async function receiveInputs<T>(
  installation: Installation,
  options: CallerInputs & CallerStops & { readonly onEvent?: TaskListener | undefined },
  run: (more: { readonly received: ReceivedInputs; readonly onEvent: TaskListener }) => Promise<T>,
): Promise<T> {
  if (isAborted(options)) throw abortedEarly();
  const received: { code?: string; payloadFile?: string; configFile?: string } = {};
  const remove = async () => {
    for (const path of Object.values(received)) await rm(path, { force: true });
  };
  const onEvent: TaskListener = (event) => {
    // After the task's end, the removal is repeated, and its errors count.
    if (event.type === 'created') remove().catch(() => undefined);
    return options.onEvent?.(event);
  };
  try {
    // Without root, receive nothing: planning then throws ERR_STACKSHIM_NOT_ROOT.
    if (!installation.host.isRoot) return await run({ received: {}, onEvent });
    for (const name of ['code', 'payload', 'config'] as const) {
      const bytes = options[name];
      if (bytes === undefined) continue;
      const path = await receiveOne(installation, name, bytes, options);
      received[INPUTS[name].field] = path;
      if (name === 'code') await requireCodeArchive(path, 'what the caller sent');
    }
    return await run({ received, onEvent });
  } finally {
    await remove();
  }
}

async function receiveOne(
  { layout }: Installation,
  name: keyof typeof INPUTS,
  bytes: CallerBytes,
  stops: CallerStops,
): Promise<string> {
  const { maxBytes } = INPUTS[name];
  const { deadline } = stops;
  const signals = [...signalsOf(stops)];
  try {
    // Throws if the deadline is not a number or too far away.
    if (deadline !== undefined) {
      signals.push(AbortSignal.timeout(Math.max(0, deadline - Date.now())));
    }
    return await receiveFile(layout, toChunks(bytes, name), {
      maxBytes,
      toTooLarge: () => invalidField(name, `more than ${maxBytes} bytes`),
      signals,
    });
  } catch (error) {
    if (isAborted(stops)) throw abortedEarly();
    if (error instanceof Error && error.name === 'TimeoutError') {
      const message = `receive ${name}: the deadline passed first`;
      throw new StackshimError('ERR_STACKSHIM_TASK_ABORTED', message);
    }
    throw toStackshimError(error, 'ERR_STACKSHIM_INPUT_NOT_FOUND', `receive ${name}`);
  }
}

async function* toChunks(bytes: unknown, name: string): AsyncGenerator<Uint8Array> {
  if (bytes instanceof Uint8Array) {
    yield bytes;
    return;
  }
  if (!isIterable(bytes)) throw invalidField(name, 'neither bytes nor a stream');
  for await (const chunk of bytes) {
    // A stream with an encoding yields text.
    const piece = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!(piece instanceof Uint8Array))
      throw invalidField(name, 'a stream of something else than bytes');
    yield piece;
  }
}

const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
