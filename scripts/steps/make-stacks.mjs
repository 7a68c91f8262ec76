/** Builds every base and stack of overlay/ in one store, and tests each. */
import { mkdir } from 'node:fs/promises';
import { buildStack, findDifferences } from './build-stack.mjs';
import { StepFailure } from './failure.mjs';
import { executableFile } from './paths.mjs';
import { note } from './report-step.mjs';
import { isStopping } from './run-program.mjs';
import { fetchStackFiles, needsStackFiles } from './stack-files.mjs';
import { chooseStackFolders, listStackFolders } from './stack-folders.mjs';
import { openStackStore } from './stack-store.mjs';
import { testContract, testIronProgram } from './test-contract.mjs';
import { testDefaultCommand, testLibrary, testPrograms, testStack } from './test-stack.mjs';
import { startTlsServer } from './tls-server.mjs';

/** @typedef {import('./stacks-report.mjs').StackReport} StackReport */
/** @typedef {import('./stack-folders.mjs').StackFolder} StackFolder */
/** @typedef {{executable: string, env: Record<string, string>, tls: import('./tls-server.mjs').TlsServer}} Tools */

/** More builds would wait for each other: src/build/take-builder-home.ts. */
const BUILDS_AT_A_TIME = 2;

/**
 * A failure does not stop the others. Two builds run at a time, bases first, while built stacks are tested one after another.
 * @param {object} options
 * @param {readonly string[]} [options.names] builds these with their bases; none: all
 * @param {string} [options.root] a store that stays; without it, a temporary one
 * @param {boolean} [options.twice] whether to build each again and compare
 * @returns {Promise<readonly StackReport[]>}
 */
export async function makeStacks({ names = [], root, twice = false }) {
  const chosen = chooseStackFolders(listStackFolders(), names);
  const store = await openStackStore(root);
  try {
    await mkdir(`${store.folder}/tls`, { mode: 0o711 });
    const tls = await startTlsServer(`${store.folder}/tls`);
    try {
      return await buildAndTest(chosen, { executable: executableFile, env: store.env, tls }, twice);
    } finally {
      await tls.close();
    }
  } finally {
    await store.close();
  }
}

/**
 * @param {readonly StackFolder[]} stacks
 * @param {Tools} tools
 * @param {boolean} twice
 * @returns {Promise<readonly StackReport[]>}
 */
async function buildAndTest(stacks, tools, twice) {
  const all = stacks.map((stack, index) => {
    /** @type {StackReport} */
    const report = { name: stack.name };
    return { stack, index, report };
  });
  let testing = Promise.resolve();
  for (const bases of [true, false]) {
    const waiting = all.filter(({ stack }) => (stack.base === undefined) === bases);
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (isStopping()) return;
        const { stack, index, report } = next;
        console.error(`==> ${index + 1} of ${stacks.length}: ${stack.name}`);
        await buildOne(stack, report, tools);
        if (report.built === undefined) continue;
        const test = () => record(report, () => testOne(stack, report, tools));
        testing = testing.then(test);
        // Awaited at the end; it may be rejected earlier.
        testing.catch(() => undefined);
        if (twice) await buildAgain(stack, report, tools);
      }
    };
    await Promise.all(Array.from({ length: BUILDS_AT_A_TIME }, work));
  }
  await testing;
  // The others were not started before a signal came.
  return all
    .map(({ report }) => report)
    .filter(({ built, failure }) => built !== undefined || failure !== undefined);
}

/**
 * @param {StackFolder} stack
 * @param {StackReport} report
 * @param {Tools} tools
 */
async function buildOne(stack, report, tools) {
  await record(report, async () => {
    if (needsStackFiles(stack.path)) await fetchStackFiles(stack.path);
    const built = await buildStack(stack, tools);
    report.built = built;
    const how = built.unchanged ? 'unchanged' : 'built';
    note(`${stack.name}: revision ${built.revision}, ${how} in ${built.seconds.toFixed(1)} s`);
  });
}

/**
 * @param {StackFolder} stack
 * @param {StackReport} report
 * @param {Tools} tools
 */
async function buildAgain(stack, report, tools) {
  const { built } = report;
  if (built === undefined) return;
  await record(report, async () => {
    report.differences = await findDifferences(stack, built, tools);
  });
}

/**
 * A base has no program of its own, and its smoke command has run: its default command and its linked libraries are checked.
 * @param {StackFolder} stack
 * @param {StackReport} report
 * @param {Tools} tools
 */
async function testOne(stack, report, tools) {
  await testDefaultCommand(stack.name, tools);
  await testPrograms(stack.name, tools);
  if (stack.base === undefined) return;
  const startedAt = Date.now();
  await testStack(stack.name, tools);
  await testContract(stack.name, tools);
  await testIronProgram(stack.name, tools);
  await testLibrary(stack.name, tools);
  report.testSeconds = (Date.now() - startedAt) / 1000;
}

/**
 * The failure of a stack is recorded; the other stacks continue.
 * @param {StackReport} report
 * @param {() => Promise<void>} work
 */
async function record(report, work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    report.failure ??= error.message;
    note(`${report.name} failed: ${error.message}`);
  }
}
