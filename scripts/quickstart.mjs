/** npm run quickstart: takes a fresh Debian machine to a real task in a real stack. A second call repeats no finished work. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { ensureBuild } from './steps/ensure-build.mjs';
import { buildNeeds } from './steps/host-needs.mjs';
import { executableFile } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { buildQuickstartStacks } from './steps/quickstart-stacks.mjs';
import { note, reportStep } from './steps/report-step.mjs';
import { requireRoot } from './steps/require-root.mjs';
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
  await requireRoot('quickstart', buildNeeds);
  await prepareHost({ forTests: false });
  await ensureBuild();
  await buildQuickstartStacks(['base/debian-13']);
  await buildQuickstartStacks(['stacks/python-3.13']);
  await reportStep('a task in python-3.13', runGreeting);
  console.error(
    `\nready after ${((Date.now() - startedAt) / 1000).toFixed(1)} s. Next: README.md, "The first ten minutes"`,
  );
});

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
