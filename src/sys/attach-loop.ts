/** Attaches files to loop devices, and says what to do if the host has no loop device. */
import { errnoCodeOf, isUsedUp, messageOf, StackshimError } from '../core/errors.ts';
import type { Fd, LoopDevice, System } from './system.ts';

export interface LoopRequest {
  /** The operation that needs the device, for the error's message. */
  readonly operation: string;
  /** What the operator can do instead of loading the module, for the hint. */
  readonly otherwise: string;
}

/**
 * Attaches `file` to a free loop device; the caller closes the device, which is free again when its last user has gone. Throws
 * ERR_STACKSHIM_HOST_UNSUPPORTED if the host offers no loop device, and the system's error if this process or the host ran out of something
 * else.
 */
export function attachLoop(system: System, file: Fd, request: LoopRequest): LoopDevice {
  try {
    return system.attachLoopDevice(file);
  } catch (error) {
    throw toLoopError(error, request);
  }
}

/** Like {@link attachLoop}, but on a thread of the pool if the engine has one. */
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
  const hint = `load the module loop (modprobe loop), or ${otherwise}`;
  return new StackshimError('ERR_STACKSHIM_HOST_UNSUPPORTED', message, { cause: error, hint });
}
