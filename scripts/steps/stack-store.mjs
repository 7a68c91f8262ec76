/** A store for trial builds of stacks: its own root and run folder, its own policy, the set-up's runtime. */
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { installationRoot } from './paths.mjs';
import { runProgram } from './run-program.mjs';

/**
 * @typedef {object} StackStore
 * @property {string} root
 * @property {string} folder for other files; removed at the end
 * @property {Record<string, string>} env
 * @property {() => Promise<void>} close unmounts everything in its run folder, and removes everything except a root that the caller named
 */

/**
 * @param {string | undefined} givenRoot undefined: an empty one, removed at the end
 * @returns {Promise<StackStore>}
 */
export async function openStackStore(givenRoot) {
  const folder = await mkdtemp('/var/tmp/stackshim-stacks-');
  // The root of a container, an unknown user on the host, must be able to pass through to its root filesystem.
  await chmod(folder, 0o711);
  const root = givenRoot ?? `${folder}/lib`;
  const run = `${folder}/run`;
  const policy = `${folder}/policy.json`;
  for (const path of [root, run, `${root}/runtimes`]) await mkdir(path, { recursive: true });
  await chmod(root, 0o711);
  await linkRuntime(`${root}/runtimes/runc`);
  // A stack requests this template with a label; the default policy allows only `default`.
  await writeFile(policy, JSON.stringify({ allow: { bundles: ['default', 'fuse'] } }));
  return {
    root,
    folder,
    env: { STACKSHIM_ROOT: root, STACKSHIM_RUN: run, STACKSHIM_POLICY: policy },
    async close() {
      await unmountAllBelow(run);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @param {string} link */
async function linkRuntime(link) {
  const installed = `${installationRoot}/runtimes/runc`;
  if (existsSync(installed) && !existsSync(link)) await symlink(await realpath(installed), link);
}

/**
 * Layers and idle volumes.
 * @param {string} folder
 */
async function unmountAllBelow(folder) {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const mounted = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  // Last first: a mount may lie below or on another one.
  for (const place of mounted.filter((one) => one.startsWith(`${folder}/`)).reverse()) {
    await runProgram('umount', [place], { output: 'capture', anyStatus: true });
  }
}
