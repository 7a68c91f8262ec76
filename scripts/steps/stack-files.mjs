/** Files of a stack that come from npm: downloaded on the host, because builds have no network, into `files/` of the stack's folder. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { StepFailure } from './failure.mjs';
import { runProgram } from './run-program.mjs';

/** The path in the package, and the name in `files/`. */
const KEPT = [
  ['bin/node', 'node'],
  ['LICENSE', 'LICENSE'],
];

/** @param {string} stackFolder */
export const needsStackFiles = (stackFolder) => existsSync(`${stackFolder}/package-lock.json`);

/**
 * Installs what the folder's package-lock.json names, checked against its hashes. Does nothing if that is already there.
 * @param {string} stackFolder one that needs files
 */
export async function fetchStackFiles(stackFolder) {
  const target = `${stackFolder}/files`;
  const lock = await readFile(`${stackFolder}/package-lock.json`, 'utf8');
  // Written last, so that its existence means that all files exist.
  const done = `${target}/package-lock.json`;
  if (existsSync(done) && (await readFile(done, 'utf8')) === lock) return;
  const work = await mkdtemp(`${tmpdir()}/stackshim-files-`);
  try {
    for (const name of ['package.json', 'package-lock.json']) {
      await cp(`${stackFolder}/${name}`, `${work}/${name}`);
    }
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
    await runProgram('npm', ['ci', ...quiet], { cwd: work, output: 'capture' });
    const [name] = (await readdir(`${work}/node_modules`)).filter((one) => !one.startsWith('.'));
    if (name === undefined) {
      throw new StepFailure(
        `fetch files of ${stackFolder}: no package for ${process.arch}`,
        'package.json in the folder must name packages for x64 and arm64',
      );
    }
    await rm(target, { recursive: true, force: true });
    await mkdir(target);
    for (const [from, to] of KEPT) {
      await cp(`${work}/node_modules/${name}/${from}`, `${target}/${to}`);
    }
    await writeFile(done, lock);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
