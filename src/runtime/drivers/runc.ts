/** runc copies binds into a mount namespace with fewer rights, so the kernel locks their flags. */
import { removeStateDirectory } from '../state-directory.ts';
import { other } from './other.ts';
import { releaseInit } from './release-init.ts';
import type { RuntimeDriver } from './runtime-driver.ts';

/** Races on masked paths, the console and writes to procfs: runc's advisories of 2025-11-05. */
const FIXED_2025 = ['1.2.8', '1.3.3'];

export const runc: RuntimeDriver = {
  ...other,
  kind: 'runc',
  // Older versions handle the cgroup and `exec.fifo` differently.
  oldestVersion: '1.1.0',
  holes: [
    { id: 'CVE-2024-21626', fixedIn: ['1.1.12'] },
    { id: 'CVE-2025-31133', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52565', fixedIn: FIXED_2025 },
    { id: 'CVE-2025-52881', fixedIn: FIXED_2025 },
  ],
  readsConfigOnce: true,
  releaseInit,
  removeState: removeStateDirectory,
  locksBinds: true,
};
