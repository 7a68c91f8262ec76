/** npm run bench [-- ARGS]: builds, compiles bench/ against the library, and runs it on Node. */

import { buildBench } from './steps/build-outputs.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { projectRoot } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { reportStep } from './steps/report-step.mjs';
import { runProgram } from './steps/run-program.mjs';
import { runScript } from './steps/run-script.mjs';

await runScript(async () => {
  await prepareHost({ forTests: true });
  await ensureBuild();
  await reportStep('benchmarks (dist/bench)', buildBench);
  const main = `${projectRoot}/dist/bench/main.js`;
  const { status } = await runProgram(process.execPath, [main, ...process.argv.slice(2)], {
    output: 'inherit',
    anyStatus: true,
  });
  return status;
});
