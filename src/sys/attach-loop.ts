/** A loop device for a file, and what to do where the host has none. */
import { errnoCodeOf, isUsedUp, messageOf, StackshimError } from '../core/errors.ts';
import type { Fd, LoopDevice, System } from './system.ts';

export interface LoopRequest {
  /** What wants the device, for the error's message. */
  readonly operation: string;
  /** What the operator can do instead of loading the module. */
  readonly otherwise: string;
}

/**
 * The caller closes the device; it goes with its last user. Throws ERR_STACKSHIM_HOST_UNSUPPORTED where there is none to be had,
 * and the system's error where this process or the host had no more of something else.
 */
export function attachLoop(system: System, file: Fd, request: LoopRequest): LoopDevice {
  try {
    return system.attachLoopDevice(file);
  } catch (error) {
    throw toLoopError(error, request);
  }
}

/** The same on a thread of the pool where the engine has one. */
export async function attachLoopAside(
  system: System,
  file: Fd,
  request: LoopRequest,
): Promise<LoopDevice> {
  try {
    return await system.attachLoopDeviceAside(file);
  } catch (error) {
    throw toLoopError(error, request);
  }
}

function toLoopError(error: unknown, { operation, otherwise }: LoopRequest): unknown {
  if (errnoCodeOf(error) === undefined || isUsedUp(error)) return error;
  const message = `${operation}: no loop device: ${messageOf(error)}`;
  return new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, {
    cause: error,
    hint: `load the module loop (modprobe loop), or ${otherwise}`,
  });
}
