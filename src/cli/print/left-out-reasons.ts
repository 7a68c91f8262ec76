/** Why a file was left out, in words. */
import type { LeftOutReason } from '../../task/outputs/left-out.ts';

export const LEFT_OUT_REASONS: Readonly<Record<LeftOutReason, string>> = {
  fifo: 'a FIFO',
  socket: 'a socket',
  device: 'a device',
  changed: 'it changed while it was read',
  mounted: 'a mount',
  unreadable: 'it cannot be read',
  too_deep: 'it is too deep',
  size_limit: 'above the limit of bytes, --output-max-size',
  entries_limit: 'above the limit of entries, --output-max-entries',
  destination_exists: 'the destination has something else of this name',
  destination_refuses: 'the destination cannot have such an entry',
};
