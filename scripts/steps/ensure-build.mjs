/** The first step of every script that runs the product: npm packages and both builds, each only if needed. */
import {
  buildExecutable,
  buildLibrary,
  buildManual,
  removeStaleOutputs,
} from './build-outputs.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';
import { reportStep } from './report-step.mjs';

export async function ensureBuild() {
  await reportStep('npm packages', ensureNpmPackages);
  await removeStaleOutputs();
  await reportStep('library (dist/lib)', buildLibrary);
  await reportStep('executable (dist/stackshim)', buildExecutable);
  await reportStep('manual pages (dist/man)', buildManual);
}
