/** npm run bench [-- ARGS]: builds, compiles bench/ against the library, and runs it on Node. */
import { spawnSync } from 'node:child_process';
import { buildBench } from './steps/build-outputs.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { runScript } from './steps/failure.mjs';
import { projectRoot } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { reportStep } from './steps/report-step.mjs';

await runScript(async () => {
  await prepareHost({ forTests: true });
  await ensureBuild();
  await reportStep('benchmarks (dist/bench)', buildBench);
  const main = `${projectRoot}/dist/bench/main.js`;
  const bench = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  return bench.status ?? 1;
});
