/** Where a test's installation lies, and how `runTask` and the executable are told so. */
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import type { Layout } from '../../../src/core/layout.ts';
import { MACHINE_SLOTS } from './machine-slots.ts';
import { linkPatchedRunc } from './patched-runc.ts';
import { writePolicy } from './write-policy.ts';

/** A new folder for an installation. The root of a container, an unknown user on the host, can pass through it to its root filesystem. */
export function makeInstallationFolder(name: string): string {
  const folder = mkdtempSync(`/var/tmp/stackshim-${name}-`);
  chmodSync(folder, 0o711);
  return folder;
}

export const layoutBelow = (folder: string): Layout => ({
  root: `${folder}/lib`,
  run: `${folder}/run`,
  policyFile: `${folder}/policy.json`,
  slots: MACHINE_SLOTS,
});

/** Makes the root and the run folder, a policy without restrictions, and the link to the runc under test. */
export function prepareLayout(layout: Layout): void {
  for (const path of [layout.root, layout.run]) mkdirSync(path, { recursive: true });
  writePolicy(layout);
  linkPatchedRunc(layout);
}

export interface RunOptions {
  readonly root: string;
  readonly run: string;
  readonly policy: string;
}

/** The folders and the policy for `runTask`. */
export const optionsOf = ({ root, run, policyFile }: Layout): RunOptions => ({
  root,
  run,
  policy: policyFile,
});

/** The folders and the policy for the executable. */
export const envOf = ({ root, run, policyFile }: Layout): Readonly<Record<string, string>> => ({
  STACKSHIM_ROOT: root,
  STACKSHIM_RUN: run,
  STACKSHIM_POLICY: policyFile,
});
