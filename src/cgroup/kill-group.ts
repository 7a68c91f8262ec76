/** Kills all processes of a cgroup, with its cgroup version's protection against forks. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { pause } from '../core/pause.ts';
import { signalProcess } from '../sys/processes.ts';
import { FREEZER_FILE, listTreeProcesses, unlessGone, writeIfThere } from './cgroup-files.ts';

const { SIGKILL } = constants.signals;
/** A process that hangs in the kernel does not freeze; after this time it is signalled anyway. */
const FROZEN_WITHIN_MS = 1_000;
const POLL_MS = 1;

/** `cgroup.kill` of v2 (Linux 5.14) kills everything below at once. Without the file, signals each process. */
export function killUnified(directory: string): void {
  if (!writeIfThere(`${directory}/cgroup.kill`, '1')) signalAll(directory);
}

/** v1: a frozen process cannot fork; killed ones die when thawed. Always thaws, so that a group that a dead caller left frozen dies, too. */
export async function killFrozen(freezer: string | undefined, directory: string): Promise<void> {
  const state = `${freezer}/${FREEZER_FILE}`;
  if (freezer === undefined || !writeIfThere(state, 'FROZEN')) return signalAll(directory);
  const isFreezing = () => unlessGone(() => readFileSync(state, 'utf8'))?.trim() === 'FREEZING';
  try {
    const endsAt = performance.now() + FROZEN_WITHIN_MS;
    while (isFreezing() && performance.now() < endsAt) await pause(POLL_MS);
    signalAll(freezer);
    signalAll(directory);
  } finally {
    writeIfThere(state, 'THAWED');
  }
}

function signalAll(directory: string): void {
  for (const pid of listTreeProcesses(directory)) signalProcess(pid, SIGKILL);
}
