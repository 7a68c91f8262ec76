/** An unknown runtime: assume only that it follows the OCI command line. */
import { watchChild } from '../exit-source.ts';
import { hasStateDirectory } from '../state-directory.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

export const other: RuntimeDriver = {
  kind: 'other',
  holes: [],
  refusesHybridCgroups: false,
  toArguments: ({ stateRoot, logFile }) => [
    ...['--root', stateRoot, '--log', logFile],
    ...['--log-format', 'json'],
  ],
  readsConfigOnce: false,
  findsCommandAtStart: false,
  isOwnInit: (pid, listed) => listed().includes(pid),
  hasState: hasStateDirectory,
  watchExit: watchChild,
  initIsPid1: true,
  locksBinds: false,
  servesBinds: false,
  givesDevices: true,
  usesHostSockets: true,
};
