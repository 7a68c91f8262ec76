/** Builds the stacks that the quick starts use; stacks that exist are left alone. */
import { rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { ensureOwnFolder, findForeignFolder } from './own-folder.mjs';
import { executableFile, installationRoot, projectRoot } from './paths.mjs';
import { note, reportStep } from './report-step.mjs';
import { runProgram } from './run-program.mjs';

/** @param {readonly string[]} folders below overlay/: `base/debian-13`, `stacks/python-3.13` */
export async function buildQuickstartStacks(folders) {
  const overlay = await ownOverlay();
  const paths = folders.map((folder) => `${overlay}/${folder}`);
  await reportStep(`stacks ${folders.map((folder) => basename(folder)).join(', ')}`, async () => {
    await runProgram(executableFile, ['stack', 'build', ...paths, '--if-changed']);
  });
}

/**
 * Stacks are built only from folders that no other user can write to. A checkout of another user is copied to such a folder, where the
 * scheduled update finds it as well.
 * @returns {Promise<string>}
 */
async function ownOverlay() {
  const overlay = `${projectRoot}/overlay`;
  const fault = findForeignFolder(overlay);
  if (fault === undefined) return overlay;
  const copy = `${installationRoot}/overlay`;
  note(`${fault}: stacks are built from a copy, ${copy}`);
  ensureOwnFolder(installationRoot);
  await rm(copy, { recursive: true, force: true });
  await runProgram('cp', ['-R', '-P', '--no-preserve=mode,ownership', overlay, copy]);
  return copy;
}
