/**
 * npm run stacks:all [-- [--root DIR] [--twice] NAME…]: builds every base and stack of overlay/, tests each, and ends with a table.
 * One that fails fails alone. While one is tested the next is built. Without --root the store is an empty one that goes away again.
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
  /** @type {StackReport[]} */
  const reports = [];
  let testing = Promise.resolve();
  for (const [index, stack] of stacks.entries()) {
    if (isStopping()) break;
    console.error(`==> ${index + 1} of ${stacks.length}: ${stack.name}`);
    /** @type {StackReport} */
    const report = { name: stack.name };
    reports.push(report);
    await record(report, async () => {
      if (needsStackFiles(stack.path)) await fetchStackFiles(stack.path);
      report.built = await buildStack(stack, tools);
    });
    if (report.built === undefined) continue;
    const { built } = report;
    note(
      `revision ${built.revision}, ${built.unchanged ? 'unchanged' : 'built'} in ${built.seconds.toFixed(1)} s`,
    );
    await testing;
    testing = record(report, async () => {
      await testOne(stack, report, tools);
    });
    if (!twice) continue;
    await testing;
    await record(report, async () => {
      report.differences = await findDifferences(stack, built, tools);
    });
  }
  await testing;
  return reports;
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
