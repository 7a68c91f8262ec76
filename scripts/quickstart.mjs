/** npm run quickstart: takes a fresh Debian machine to a real task in a real stack. A second call repeats no finished work. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename } from 'node:path';
import { ensureBuild } from './steps/ensure-build.mjs';
import { StepFailure } from './steps/failure.mjs';
import { buildNeeds } from './steps/host-needs.mjs';
import { ensureHostPackages } from './steps/host-packages.mjs';
import { ensureOwnFolder, findForeignFolder } from './steps/own-folder.mjs';
import { executableFile, installationRoot, projectRoot } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { note, reportStep } from './steps/report-step.mjs';
import { runProgram } from './steps/run-program.mjs';
import { runScript } from './steps/run-script.mjs';

const greeting = [
  'import json, os',
  "with open(os.environ['PAYLOAD_FILE']) as file:",
  '    payload = json.load(file)',
  "print(f\"Hello, {payload['name']}, from task {os.environ['TASK_ID']}\")",
].join('\n');

await runScript(async () => {
  const startedAt = Date.now();
  if (process.getuid?.() !== 0) {
    // Report missing tools first: installing them needs root as well.
    await ensureHostPackages(buildNeeds);
    throw new StepFailure('quickstart: not root', 'tasks need root: sudo npm run quickstart');
  }
  await prepareHost({ forTests: false });
  await ensureBuild();
  const overlay = await ownOverlay();
  await buildStack(`${overlay}/base/debian-13`);
  await buildStack(`${overlay}/stacks/python-3.13`);
  await reportStep('a task in python-3.13', runGreeting);
  console.error(
    `\nready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s. Next: README.md, "The first ten minutes"`,
  );
});

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

/** @param {string} folder */
async function buildStack(folder) {
  await reportStep(`stack ${basename(folder)}`, async () => {
    await runProgram(executableFile, ['stack', 'build', folder, '--if-changed']);
  });
}

async function runGreeting() {
  const folder = await mkdtemp(`${tmpdir()}/stackshim-quickstart-`);
  const resultFile = `${folder}/result.json`;
  const limits = ['--memory', '256m', '--timeout', '60s'];
  const input = ['--payload', '{"name":"world"}', '--result', resultFile];
  const command = ['python-3.13', '--', 'python3', '-c', greeting];
  try {
    const run = ['run', ...limits, ...input, ...command];
    const { stdout } = await runProgram(executableFile, run, { output: 'capture' });
    note(
      `stackshim run ${limits.join(' ')} --payload '{"name":"world"}' --result FILE python-3.13 -- python3 -c '…'`,
    );
    console.log(`\nThe task's output:\n${stdout.trimEnd()}`);
    console.log(`\nIts result record:\n${(await readFile(resultFile, 'utf8')).trimEnd()}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
