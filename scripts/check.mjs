/** npm run check: types, lint, format, dead code and the package; runs all of them even if one fails. */
import { ensureBuild } from './steps/ensure-build.mjs';
import { StepFailure } from './steps/failure.mjs';
import { projectRoot } from './steps/paths.mjs';
import { reportStep } from './steps/report-step.mjs';
import { runProgram } from './steps/run-program.mjs';
import { runScript } from './steps/run-script.mjs';

const checks = [
  ['types', 'typescript/bin/tsc', '--noEmit', '-p', '.'],
  ['lint and format', '@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  ['dead code and dependencies', 'knip/bin/knip.js', '--no-progress'],
  ['package', 'publint/src/cli.js', '--strict'],
];

await runScript(async () => {
  await ensureBuild();
  /** @type {string[]} */
  const failures = [];
  for (const [title = '', program, ...args] of checks) {
    try {
      await reportStep(title, async () => {
        const script = `${projectRoot}/node_modules/${program}`;
        await runProgram(process.execPath, [script, ...args], { cwd: projectRoot });
      });
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error;
      failures.push(title);
    }
  }
  if (failures.length > 0) {
    throw new StepFailure(
      `check: ${failures.join(', ')}`,
      'see the output above; npm run format fixes formatting',
    );
  }
});
