/** Copies a newer Node and the host's EROFS tools into a guest whose own are too old. */
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';
import { findProgram, runProgram } from './run-program.mjs';
import { fetchStackFiles } from './stack-files.mjs';

const nodeStack = `${projectRoot}/overlay/stacks/node-22`;
const LENT = '/opt/host-tools';
const erofsTools = ['mkfs.erofs', 'fsck.erofs', 'dump.erofs'];

/** The sources of these tools, to be hashed: a new version needs a new disk. */
export const toolSources = () => [
  `${nodeStack}/package-lock.json`,
  ...erofsTools.flatMap((name) => findProgram(name) ?? []),
];

/**
 * Node is the official build that the stack of that name uses: it runs with any C library since 2.28. Each EROFS tool comes with the
 * host's C library and loader, and is started through the loader.
 * @param {string} root the guest's root filesystem
 */
export async function lendTools(root) {
  await fetchStackFiles(nodeStack);
  await cp(`${nodeStack}/files/node`, `${root}/usr/bin/node`, { dereference: true });
  await mkdir(`${root}${LENT}/lib`, { recursive: true });
  for (const name of erofsTools) await lendProgram(root, name);
}

/**
 * @param {string} root
 * @param {string} name
 */
async function lendProgram(root, name) {
  const program = findProgram(name);
  if (program === undefined)
    throw new StepFailure(`no ${name} on this host`, 'install erofs-utils');
  await cp(program, `${root}${LENT}/${name}`, { dereference: true });
  const { stdout } = await runProgram('ldd', [program], { output: 'capture' });
  let loader = '';
  for (const line of stdout.split('\n')) {
    const library = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    if (library === undefined) continue;
    const file = library.slice(library.lastIndexOf('/') + 1);
    await cp(library, `${root}${LENT}/lib/${file}`, { dereference: true });
    if (file.startsWith('ld-linux')) loader = file;
  }
  const start = `exec ${LENT}/lib/${loader} --library-path ${LENT}/lib ${LENT}/${name} "$@"`;
  await writeFile(`${root}/usr/bin/${name}`, `#!/bin/sh\n${start}\n`);
  await chmod(`${root}/usr/bin/${name}`, 0o755);
}
