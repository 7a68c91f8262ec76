/**
 * Talks to a running gVisor sandbox over its control socket by the JSON calls of `runsc wait` and `runsc kill`, without starting a program. The
 * sandbox can distinguish `exit 137` from a KILL, unlike the exit status of its own process.
 */

import { connect, type Socket } from 'node:net';
import { pause } from '../../core/pause.ts';
import { parseJson } from '../../core/read-fields.ts';
import type { ProcessExit } from '../../sys/system.ts';
import type { ContainerReference } from '../runtime.ts';
import type { InnerProcess } from './runtime-driver.ts';

const RETRY_MS = 2;
/** Answers are short. */
const MAX_ANSWER_CHARACTERS = 65_536;
/** `DeliverToProcess` and `DeliverToAllProcesses` of gVisor's runsc/boot/controller.go. */
const TO_PROCESS = 0;
const TO_ALL_PROCESSES = 1;

/** The path of a sandbox's control socket; undefined if there is none. */
type SocketPath = () => string | undefined;

interface Answer {
  readonly success: boolean;
  readonly result?: unknown;
}

/** The exit of the container's first process; undefined if the sandbox ended without it. May be called before the start. Never rejects. */
export const waitInSandbox = (
  container: ContainerReference,
  socketPath: SocketPath,
): Promise<ProcessExit | undefined> =>
  withSocket(socketPath, async (socket) => {
    for (;;) {
      const answer = await call(socket, 'containerManager.Wait', container.id);
      if (answer === undefined) return undefined;
      if (answer.success) return parseWaitStatus(answer.result);
      // The container is not started yet.
      await pause(RETRY_MS);
    }
  });

/** Signals one process of the container; without `pid`, all. A sandbox or process that is gone is not an error. Never rejects. */
export async function signalSandbox(
  container: ContainerReference,
  socketPath: SocketPath,
  { signal, pid }: { readonly signal: number; readonly pid?: number | undefined },
): Promise<void> {
  const mode = pid === undefined ? TO_ALL_PROCESSES : TO_PROCESS;
  const target = { CID: container.id, Signo: signal, PID: pid ?? 0, Mode: mode };
  await withSocket(socketPath, (socket) => call(socket, 'containerManager.Signal', target));
}

const LISTED_WITHIN_MS = 2_000;

/** The container's processes; undefined if the sandbox is gone or does not answer in time, for example while paused. Never rejects. */
export const listInSandbox = (
  container: ContainerReference,
  socketPath: SocketPath,
): Promise<readonly InnerProcess[] | undefined> =>
  withSocket(socketPath, async (socket) => {
    const deadline = setTimeout(() => socket.destroy(), LISTED_WITHIN_MS);
    const answer = await call(socket, 'containerManager.Processes', container.id);
    clearTimeout(deadline);
    return answer?.success === true ? parseInnerProcesses(answer.result) : undefined;
  });

/** Parses `Process` of gVisor's pkg/sentry/control/proc.go; leaves out entries of another form. */
export function parseInnerProcesses(result: unknown): readonly InnerProcess[] | undefined {
  if (!Array.isArray(result)) return undefined;
  return result.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { pid, ppid, uid, time, cmd }: Record<string, unknown> = { ...entry };
    if (!isCount(pid) || !isCount(ppid) || !isCount(uid) || typeof cmd !== 'string') return [];
    return [{ pid, parentPid: ppid, user: uid, cpuMs: parseGoDuration(time), name: cmd }];
  });
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value);

const GO_UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Converts `1h2m3.5s` or `40ms` to milliseconds; null for anything else. */
function parseGoDuration(text: unknown): number | null {
  if (typeof text !== 'string' || !/^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)) {
    ms += Number(amount) * (GO_UNITS[unit] ?? 0);
  }
  return ms;
}

/** Converts a wait(2) status to an exit; undefined if the value is no such status. */
export function parseWaitStatus(status: unknown): ProcessExit | undefined {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 0) return undefined;
  const signal = status & 0x7f;
  if (signal === 0x7f) return undefined;
  return signal === 0
    ? { exitCode: (status >> 8) & 0xff, signal: null }
    : { exitCode: null, signal };
}

/** Calls `use` with a connection, then closes it. Undefined if the sandbox cannot be found or refuses it. Rejects only if `use` does. */
async function withSocket<T>(
  socketPath: SocketPath,
  use: (socket: Socket) => Promise<T>,
): Promise<T | undefined> {
  let path: string | undefined;
  try {
    path = socketPath();
  } catch {
    return undefined;
  }
  if (path === undefined) return undefined;
  const socket = connect({ path });
  const isConnected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    // Refused or absent: the sandbox has ended. An error after the connection ends in `close`.
    socket.on('error', () => resolve(false));
  });
  try {
    return isConnected ? await use(socket) : undefined;
  } finally {
    socket.destroy();
  }
}

/** Undefined if the sandbox closed the connection, or its answer is invalid. */
function call(socket: Socket, method: string, arg: unknown): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const settle = (answer: Answer | undefined) => {
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(answer);
    };
    const onClose = () => settle(undefined);
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const answer = parseAnswer(text);
      if (answer !== undefined) settle(answer);
      else if (text.length > MAX_ANSWER_CHARACTERS) onClose();
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    if (socket.destroyed) onClose();
    else socket.write(JSON.stringify({ method, arg }));
  });
}

/** Undefined while the text is incomplete: no marker ends it. */
export function parseAnswer(text: string): Answer | undefined {
  const { success, result }: Record<string, unknown> = { ...Object(parseJson(text)) };
  return success === undefined ? undefined : { success: success === true, result };
}
