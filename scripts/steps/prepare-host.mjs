/** The host set-up as one step: packages, then the OCI runtime. */
import { buildNeeds, testNeeds } from './host-needs.mjs';
import { ensureHostPackages } from './host-packages.mjs';
import { ensurePatchedRunc } from './patched-runc.mjs';
import { reportStep } from './report-step.mjs';

/** @param {{forTests: boolean}} options with what the test lanes need on top */
export async function prepareHost({ forTests }) {
  const needs = forTests ? [...buildNeeds, ...testNeeds] : buildNeeds;
  await reportStep('host packages', () => ensureHostPackages(needs));
  await reportStep('OCI runtime', ensurePatchedRunc);
}
