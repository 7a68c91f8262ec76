/** Finds out whether this machine's processor can run a guest, by starting one. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { StepFailure } from './failure.mjs';
import { note } from './report-step.mjs';
import { isStopping, runProgram } from './run-program.mjs';

const PROBE_SECONDS = 10;

/**
 * @param {import('./vm-disks.mjs').SystemDisk} system
 * @param {string} folder for a file of the probe's own
 * @returns {Promise<{args: readonly string[], isHardware: boolean}>}
 */
export async function chooseAcceleration(system, folder) {
  const hardware = ['-accel', 'kvm', '-cpu', 'host'];
  if (existsSync('/dev/kvm') && (await beginsToBoot(hardware, system, folder))) {
    note('KVM');
    return { args: hardware, isHardware: true };
  }
  note('none: the processor is emulated (TCG)');
  // Fewer levels of page tables, and no mitigations that slow down system calls: about a sixth less work.
  const software = ['-accel', 'tcg,thread=multi', '-cpu', 'max,-la57,-smap,-smep'];
  return { args: software, isHardware: false };
}

/**
 * A machine that is itself a guest may have a /dev/kvm that does not work.
 * @param {readonly string[]} args
 * @param {import('./vm-disks.mjs').SystemDisk} system
 * @param {string} folder
 */
async function beginsToBoot(args, system, folder) {
  const log = `${folder}/probe.log`;
  const machine = ['-m', '512', '-display', 'none', '-nodefaults', '-no-user-config', '-no-reboot'];
  // Without a root disk the kernel panics at the end of its boot, which ends the machine.
  const kernel = ['-kernel', system.kernel, '-append', 'console=ttyS0 panic=-1'];
  const probe = ['qemu-system-x86_64', ...args, ...machine, '-serial', `file:${log}`, ...kernel];
  try {
    await runProgram('timeout', ['--kill-after=2', String(PROBE_SECONDS), ...probe], {
      output: 'capture',
      anyStatus: true,
    });
  } catch (error) {
    // The process may end by a signal.
    if (!(error instanceof StepFailure) || isStopping()) throw error;
  }
  try {
    return existsSync(log) && (await readFile(log, 'utf8')).includes('Kernel panic');
  } finally {
    await rm(log, { force: true });
  }
}
