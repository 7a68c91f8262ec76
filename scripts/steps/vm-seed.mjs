/** The root folder of a new guest: stacks built here, where Debian's archive is reachable, and the set-up's runtime. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { ensureOwnFolder } from './own-folder.mjs';
import { executableFile, installationRoot, projectRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';
import { makeWorkFolder, vmCache } from './vm-disks.mjs';

const stacks = ['base/debian-13', 'stacks/python-3.13'];
const kept = ['current', 'generations', 'images', 'layers', 'stacks'];
/** @type {readonly (readonly [string, number])[]} */
const folders = [
  ['tmp', 0o1777],
  ['var-tmp', 0o1777],
  ['project', 0o755],
  ['work', 0o755],
  ['root', 0o711],
];

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {{store: string, folder: string}} options the stacks, and where to make it
 * @returns {Promise<string>} the folder that a data disk is to be filled with
 */
export async function makeSeed(guest, { store, folder }) {
  const seed = `${folder}/seed`;
  for (const [name, mode] of folders) {
    await mkdir(`${seed}/${name}`, { recursive: true });
    await chmod(`${seed}/${name}`, mode);
  }
  // Hard links: the content is only read, to make a disk of it.
  const sources = kept.map((name) => `${store}/${name}`);
  await runProgram('cp', ['-al', ...sources, `${seed}/root/`], { output: 'capture' });
  const runtimes = `${installationRoot}/runtimes`;
  if (!guest.borrowsTools && existsSync(runtimes)) {
    await runProgram('cp', ['-a', runtimes, `${seed}/root/`], { output: 'capture' });
  }
  return seed;
}

/**
 * Builds the stacks of new guests; a stack with an unchanged folder is not built again.
 * @returns {Promise<string>} the root folder that has them
 */
export async function buildStacks() {
  const store = `${vmCache}/store`;
  ensureOwnFolder(vmCache);
  await mkdir(`${store}/runtimes`, { recursive: true });
  await chmod(store, 0o711);
  const runc = `${installationRoot}/runtimes/runc`;
  if (existsSync(runc)) {
    await runProgram('ln', ['-sfn', await realpath(runc), `${store}/runtimes/runc`], {
      output: 'capture',
    });
  }
  const run = await makeWorkFolder();
  try {
    await writeFile(`${run}/policy.json`, '{}');
    for (const name of stacks) {
      const folder = `${projectRoot}/overlay/${name}`;
      await runProgram(executableFile, ['stack', 'build', folder, '--if-changed'], {
        env: { STACKSHIM_ROOT: store, STACKSHIM_RUN: run, STACKSHIM_POLICY: `${run}/policy.json` },
        output: 'capture',
      });
    }
  } finally {
    await releaseRunFolder(run);
  }
  return store;
}

/** @param {string} run */
async function releaseRunFolder(run) {
  const mounts = await runProgram('findmnt', ['-rno', 'TARGET'], { output: 'capture' });
  const below = mounts.stdout.split('\n').filter((target) => target.startsWith(`${run}/`));
  for (const target of below.reverse()) await runProgram('umount', [target], { output: 'capture' });
  await rm(run, { recursive: true, force: true });
}
