/** Keeps packages from starting their services when they are installed: a test starts servers of its own. */
import { rmSync, writeFileSync } from 'node:fs';
import { note } from './report-step.mjs';
import { findProgram, runProgram } from './run-program.mjs';

/** Debian's tools ask this program before they start a service: deb-systemd-invoke(1p), invoke-rc.d(8). */
const POLICY = '/usr/sbin/policy-rc.d';
const FORBID =
  '#!/bin/sh\n# Made by the set-up of stackshim while it installs packages.\nexit 101\n';

/**
 * Calls `install`, which starts no service meanwhile. The given services do not start with the machine either, afterwards.
 * @param {readonly string[]} services units of the packages; without one nothing is kept from starting
 * @param {() => Promise<void>} install
 * @param {string} policy
 */
export async function withoutServices(services, install, policy = POLICY) {
  if (services.length === 0) return await install();
  const isOurs = writeNew(policy, FORBID);
  try {
    await install();
  } finally {
    if (isOurs) rmSync(policy, { force: true });
  }
  if (findProgram('systemctl') === undefined) return;
  note(`systemctl disable ${services.join(' ')}`);
  await runProgram('systemctl', ['--quiet', 'disable', ...services], { output: 'capture' });
}

/**
 * False if there is such a file: the operator's own rule holds.
 * @param {string} file
 * @param {string} text
 */
function writeNew(file, text) {
  try {
    writeFileSync(file, text, { mode: 0o755, flag: 'wx' });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}
