/** Attaches files to loop devices. If the host has none, the error says what to do. */
import { errnoCodeOf, isUsedUp, messageOf, StackshimError } from '../core/errors.ts';
import type { Fd, LoopDevice, System } from './system.ts';

export interface LoopRequest {
  /** The operation that needs the device, for the error message. */
  readonly operation: string;
  /** The operator's alternative to loading the module, for the hint. */
  readonly otherwise: string;
}

/**
 * Attaches `file` to a free loop device. The caller closes the device, which is free again after its last user. Throws
 * ERR_STACKSHIM_HOST_UNSUPPORTED if the host has no loop device, and the system error if this process or the host ran out of another resource.
 */
export function attachLoop(system: System, file: Fd, request: LoopRequest): LoopDevice {
  try {
    return system.attachLoopDevice(file);
  } catch (error) {
    throw toLoopError(error, request);
  }
}

/** Like {@link attachLoop}, but on a pool thread if the engine has a pool. */
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
