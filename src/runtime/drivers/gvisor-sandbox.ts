/**
 * Talks to a running gVisor sandbox over its control socket: JSON calls as `runsc wait` and `runsc kill` make them, without
 * starting a program. The exit status of the sandbox's own process cannot tell `exit 137` from a KILL; the sandbox can.
 */

import { connect, type Socket } from 'node:net';
import { pause } from '../../core/pause.ts';
import { parseJson } from '../../core/read-fields.ts';
import type { ProcessExit } from '../../sys/system.ts';
import type { ContainerReference } from '../runtime.ts';
import { readControlSocket } from './runsc-files.ts';

const RETRY_MS = 2;
/** Answers are a few words long. */
const MAX_ANSWER_CHARACTERS = 65_536;
/** `DeliverToAllProcesses` of gVisor's runsc/boot/controller.go. */
const TO_ALL_PROCESSES = 1;

interface Answer {
  readonly success: boolean;
  readonly result?: unknown;
}

/**
 * Resolves to how the container's first process ended; undefined when the sandbox has ended without telling. May be called before the
 * container is started. Never rejects.
 */
export async function waitInSandbox(
  container: ContainerReference,
): Promise<ProcessExit | undefined> {
  const socket = await openSocket(container);
  if (socket === undefined) return undefined;
  try {
    for (;;) {
      const answer = await call(socket, 'containerManager.Wait', container.id);
      if (answer === undefined) return undefined;
      if (answer.success) return parseWaitStatus(answer.result);
      // Not started yet.
      await pause(RETRY_MS);
    }
  } finally {
    socket.destroy();
  }
}

/** Sends a signal to every process of the container; a sandbox that is gone is fine. Never rejects. */
export async function signalSandbox(container: ContainerReference, signal: number): Promise<void> {
  const socket = await openSocket(container);
  if (socket === undefined) return;
  const target = { CID: container.id, Signo: signal, PID: 0, Mode: TO_ALL_PROCESSES };
  await call(socket, 'containerManager.Signal', target);
  socket.destroy();
}

/** What wait(2) would have stored, as an exit; undefined for what it would not. */
export function parseWaitStatus(status: unknown): ProcessExit | undefined {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 0) return undefined;
  const signal = status & 0x7f;
  if (signal === 0x7f) return undefined;
  return signal === 0
    ? { exitCode: (status >> 8) & 0xff, signal: null }
    : { exitCode: null, signal };
}

/** Never rejects: a sandbox that cannot be found cannot be asked. */
async function openSocket(container: ContainerReference): Promise<Socket | undefined> {
  let path: string | undefined;
  try {
    path = readControlSocket(container);
  } catch {
    return undefined;
  }
  if (path === undefined) return undefined;
  return await new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(socket));
    // Refused or absent: the sandbox has ended. Later ones end with `close`.
    socket.on('error', () => resolve(undefined));
  });
}

/** Undefined when the sandbox hung up, or answers with what is no answer. */
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

/** Undefined while the text is not complete: nothing marks its end. */
export function parseAnswer(text: string): Answer | undefined {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || !('success' in value)) return undefined;
  return {
    success: value.success === true,
    ...('result' in value ? { result: value.result } : {}),
  };
}
