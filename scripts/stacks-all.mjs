/**
 * npm run stacks:all [-- [--root DIR] [--twice] NAME…]: builds every base and stack of overlay/, tests each, and ends with a table.
 * One that fails fails alone. Two are built at a time, bases first, while those that are built are tested one by one.
 * Without --root the store is an empty one that goes away again.
 */
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { buildStack, findDifferences } from './steps/build-stack.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { StepFailure } from './steps/failure.mjs';
import { executableFile } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { note } from './steps/report-step.mjs';
import { isStopping } from './steps/run-program.mjs';
import { runScript } from './steps/run-script.mjs';
import { fetchStackFiles, needsStackFiles } from './steps/stack-files.mjs';
import { chooseStackFolders, listStackFolders } from './steps/stack-folders.mjs';
import { openStackStore } from './steps/stack-store.mjs';
import { formatReport } from './steps/stacks-report.mjs';
import { testStack } from './steps/test-stack.mjs';
import { startTlsServer } from './steps/tls-server.mjs';

/** @typedef {import('./steps/stacks-report.mjs').StackReport} StackReport */
/** @typedef {import('./steps/stack-folders.mjs').StackFolder} StackFolder */
/** @typedef {{executable: string, env: Record<string, string>, tls: import('./steps/tls-server.mjs').TlsServer}} Tools */

/** More would wait for each other: src/images/take-builder-home.ts. */
const BUILDS_AT_A_TIME = 2;

await runScript(async () => {
  const { values, positionals } = parseArgs({
    options: { root: { type: 'string' }, twice: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const chosen = chooseStackFolders(listStackFolders(), positionals);
  await prepareHost({ forTests: true });
  await ensureBuild();
  const store = await openStackStore(values.root);
  const startedAt = Date.now();
  try {
    await mkdir(`${store.folder}/tls`, { mode: 0o711 });
    const tls = await startTlsServer(`${store.folder}/tls`);
    try {
      const tools = { executable: executableFile, env: store.env, tls };
      const reports = await buildAndTest(chosen, tools, values.twice);
      console.log(formatReport(reports, (Date.now() - startedAt) / 1000));
      return reports.every(({ failure }) => failure === undefined) ? 0 : 1;
    } finally {
      await tls.close();
    }
  } finally {
    await store.close();
  }
});

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
        // Asked for at the end, later than it may come.
        testing.catch(() => undefined);
        if (twice) await buildAgain(stack, report, tools);
      }
    };
    await Promise.all(Array.from({ length: BUILDS_AT_A_TIME }, work));
  }
  await testing;
  // The others were not begun before a signal came.
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
 * A base has no program of its own: its smoke command has run.
 * @param {StackFolder} stack
 * @param {StackReport} report
 * @param {Tools} tools
 */
async function testOne(stack, report, tools) {
  if (stack.base === undefined) return;
  const startedAt = Date.now();
  await testStack(stack.name, tools);
  report.testSeconds = (Date.now() - startedAt) / 1000;
}

/**
 * What goes wrong with one stack is written down; the others go on.
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
