/** The set-up of the host in one step: packages, then the OCI runtime. */
import { buildNeeds, fullTestNeeds, testNeeds } from './host-needs.mjs';
import { ensureHostPackages } from './host-packages.mjs';
import { ensurePatchedRunc } from './patched-runc.mjs';
import { reportStep } from './report-step.mjs';

/** @param {{forTests: boolean, full?: boolean}} options with what the test lanes need on top, or the full ones */
export async function prepareHost({ forTests, full = false }) {
  const tests = full ? [...testNeeds, ...fullTestNeeds] : testNeeds;
  const needs = forTests ? [...buildNeeds, ...tests] : buildNeeds;
  await reportStep('host packages', () => ensureHostPackages(needs));
  await reportStep('OCI runtime', ensurePatchedRunc);
}
