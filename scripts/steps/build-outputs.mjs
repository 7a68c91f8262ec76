/** Builds dist/lib (tsc), dist/stackshim (Bun) and dist/bench (tsc), each only if its inputs have changed. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hashContents } from './content-hash.mjs';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';
import { prependInstructions } from './prepend-instructions.mjs';
import { runProgram } from './run-program.mjs';

const dist = `${projectRoot}/dist`;
const commonInputs = ['src', 'bundles', 'package.json', 'package-lock.json', 'tsconfig.json'];
const tsc = `${projectRoot}/node_modules/typescript/bin/tsc`;

/** The library for Node: dist/lib. */
export function buildLibrary() {
  return buildOnce({
    name: 'lib',
    inputs: [...commonInputs, 'tsconfig.build.json'],
    make: (target) => compile('tsconfig.build.json', target),
  });
}

/** The benchmarks, compiled against the library in dist/lib. */
export function buildBench() {
  return buildOnce({
    name: 'bench',
    inputs: [...commonInputs, 'bench', 'tsconfig.build.json', 'tsconfig.bench.json'],
    make: (target) => compile('tsconfig.bench.json', target),
  });
}

/** The manual pages, which the executable writes: dist/man. */
export function buildManual() {
  return buildOnce({
    name: 'man',
    inputs: commonInputs,
    make: async (target) => {
      await runProgram(`${dist}/stackshim`, ['man', target], { output: 'capture' });
    },
  });
}

/** The self-contained executable: dist/stackshim. */
export function buildExecutable() {
  const instructions = [
    'prepend-instructions',
    'hide-variables',
    'leave-lost-directory',
    'require-room',
  ];
  const steps = instructions.map((name) => `scripts/steps/${name}.mjs`);
  const inputs = [...commonInputs, 'overlay', ...steps];
  return buildOnce({ name: 'stackshim', inputs, make: link });
}

/**
 * Builds dist/<name> under a temporary name and renames it, so that a failed or killed build does not damage the last one.
 * @param {{name: string, inputs: readonly string[], make: (target: string) => Promise<void>}} output
 * @returns {Promise<string>} 'built' or 'up to date'
 */
async function buildOnce(output) {
  const target = `${dist}/${output.name}`;
  const stamp = `${dist}/.${output.name}.inputs`;
  const inputs = hashContents(projectRoot, output.inputs);
  if (existsSync(target) && (await readStamp(stamp)) === inputs) return 'up to date';
  await mkdir(dist, { recursive: true });
  const temporary = `${dist}/.${output.name}.${process.pid}.tmp`;
  try {
    await output.make(temporary);
    await rm(stamp, { force: true });
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await writeFile(stamp, inputs);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return 'built';
}

/** @param {string} stamp */
async function readStamp(stamp) {
  return existsSync(stamp) ? await readFile(stamp, 'utf8') : undefined;
}

/**
 * @param {string} project a tsconfig file
 * @param {string} outDir
 */
async function compile(project, outDir) {
  await runProgram(process.execPath, [tsc, '-p', project, '--outDir', outDir], {
    cwd: projectRoot,
  });
}

/** @param {string} outFile */
async function link(outFile) {
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const bun = `${projectRoot}/node_modules/@oven/bun-linux-${architecture}/bin/bun`;
  if (!existsSync(bun)) {
    throw new StepFailure(
      `build the executable: no Bun for ${process.arch}`,
      `run npm ci with optional dependencies: it needs the npm package @oven/bun-linux-${architecture}`,
    );
  }
  // The executable contains the name under which it was built: use the same name each time.
  const work = `${outFile}.work`;
  await mkdir(work, { recursive: true });
  // An interrupted Bun leaves *.bun-build files in its working directory: use a temporary one.
  // A stray .env or bunfig.toml in the caller's directory must not affect a program that runs as root.
  const args = [
    'build',
    '--compile',
    '--minify',
    '--bytecode',
    '--splitting',
    '--format=esm',
    '--target=bun',
  ];
  // A plain run repeats almost nothing often enough to be worth compiling just in time.
  args.push('--compile-jit-policy=100');
  args.push('--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig');
  try {
    await runProgram(bun, [...args, `${projectRoot}/src/cli/main.ts`, '--outfile', 'stackshim'], {
      cwd: work,
      output: 'capture',
    });
    await prepareStart(`${work}/stackshim`);
    await rename(`${work}/stackshim`, outFile);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * A user who can set the executable's environment must not be able to make it run other code; and it must start in any directory.
 * @param {string} file
 */
async function prepareStart(file) {
  const executable = await readFile(file);
  try {
    prependInstructions(executable);
  } catch (error) {
    throw new StepFailure(
      `build the executable: ${error instanceof Error ? error.message : error}`,
      'see scripts/steps/prepend-instructions.mjs: this version of Bun is linked differently',
    );
  }
  await writeFile(file, executable);
}

/** Removes temporary outputs of killed builds. Call this only if no other build of this checkout runs. */
export async function removeStaleOutputs() {
  if (!existsSync(dist)) return;
  const names = await readdir(dist);
  const stale = names.filter((name) => /^\..*\.\d+\.tmp(\.work)?$/.test(name) && !isAlive(name));
  await Promise.all(stale.map((name) => rm(`${dist}/${name}`, { recursive: true, force: true })));
}

/** @param {string} name of a temporary output: it holds the builder's pid */
function isAlive(name) {
  return existsSync(`/proc/${name.match(/\.(\d+)\.tmp/)?.[1]}`);
}
