/** npm run build: dist/lib for Node, dist/stackshim as one executable. */
import { buildExecutable, buildLibrary, removeStaleOutputs } from './steps/build-outputs.mjs';
import { runScript } from './steps/failure.mjs';
import { ensureNpmPackages } from './steps/npm-packages.mjs';
import { reportStep } from './steps/report-step.mjs';

await runScript(async () => {
  await reportStep('npm packages', ensureNpmPackages);
  await removeStaleOutputs();
  await reportStep('library (dist/lib)', buildLibrary);
  await reportStep('executable (dist/stackshim)', buildExecutable);
});
