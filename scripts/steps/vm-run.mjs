/** Runs test lanes in test VMs: prepares what they need on the host, boots each guest, and brings the counts back. */
import { mkdir, rm } from 'node:fs/promises';
import { vmNeeds } from './host-needs.mjs';
import { ensureHostPackages } from './host-packages.mjs';
import { reportStep } from './report-step.mjs';
import { chooseAcceleration } from './vm-acceleration.mjs';
import { ensureSystemDisk, makeDataDisk, makeProjectDisk, makeWorkFolder } from './vm-disks.mjs';
import { guests } from './vm-guests.mjs';
import { startMachine } from './vm-machine.mjs';
import { cutPowerWhileBusy } from './vm-power-cut.mjs';
import { runFiles } from './vm-run-files.mjs';
import { ensureSeed } from './vm-seed.mjs';
import { afterPowerCut, chooseVmFiles } from './vm-tests.mjs';

/** A program for a processor: about twenty times slower than the machine, more where others work beside. */
const SLOW = { scale: 20, bootMs: 600_000, laneMs: 4 * 3_600_000 };
const FAST = { scale: 2, bootMs: 120_000, laneMs: 1_800_000 };
const CORE_LANE_MS = 1_500_000;

/**
 * @param {import('./vm-options.mjs').VmOptions} options
 * @returns {Promise<import('./vm-run-files.mjs').Counts>}
 */
export async function testInVms(options) {
  const chosen = guests.filter(
    ({ name }, index) =>
      (options.guests.length === 0 || options.guests.includes(name)) &&
      (!options.core || options.guests.length > 0 || index === 0),
  );
  await reportStep('packages of the test VM', () => ensureHostPackages(vmNeeds));
  const work = await makeWorkFolder();
  const total = { passed: 0, failed: 0, skipped: 0 };
  try {
    const project = `${work}/project.img`;
    await reportStep('disk with this checkout', () => makeProjectDisk(project));
    for (const guest of chosen) {
      const folder = `${work}/${guest.name}`;
      await mkdir(folder);
      addCounts(total, await testInGuest(guest, { ...options, project, folder }));
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return total;
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {import('./vm-options.mjs').VmOptions & {project: string, folder: string}} options
 */
async function testInGuest(guest, options) {
  const { project, folder } = options;
  const system = await reportStep(`${guest.name}: ${guest.description}`, () =>
    ensureSystemDisk(guest),
  );
  const seed = await reportStep('stacks that the guest starts with', () => ensureSeed(guest));
  const data = `${folder}/data.img`;
  await reportStep('disk for data, with project quotas', () => makeDataDisk(data, seed));
  const acceleration = await reportStep('acceleration', () => chooseAcceleration(system, folder));
  const pace = acceleration.isHardware ? FAST : SLOW;
  const start = () =>
    reportStep('boot', () =>
      startMachine({
        system,
        disks: [
          { file: project, readOnly: true },
          { file: data, readOnly: false },
        ],
        folder,
        acceleration: acceleration.args,
        bootMs: pace.bootMs,
      }),
    );
  const machine = await start();
  const total = { passed: 0, failed: 0, skipped: 0 };
  let last = machine;
  try {
    const laneMs = options.core ? CORE_LANE_MS : pace.laneMs;
    addCounts(total, await runLanes(guest, machine, { ...options, scale: pace.scale, laneMs }));
    for (let cut = 1; cut <= options.powerCuts; cut += 1) {
      const busy = { builds: !guest.borrowsTools, deadlineMs: laneMs };
      const promised = await reportStep(`power cut ${cut} of ${options.powerCuts}`, () =>
        cutPowerWhileBusy(last, busy),
      );
      last = await start();
      addCounts(
        total,
        await runFiles(last, {
          title: `${guest.name}: after the power cut`,
          lane: 'vm',
          files: [afterPowerCut],
          env: { STACKSHIM_TEST_PROMISED: JSON.stringify(promised) },
          scale: pace.scale,
          laneMs,
        }),
      );
    }
  } finally {
    await reportStep('power off', () => last.powerOff());
  }
  return total;
}

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {import('./vm-machine.mjs').Machine} machine
 * @param {import('./vm-options.mjs').VmOptions & {scale: number, laneMs: number}} options
 */
async function runLanes(guest, machine, { core, runtimes, files: asked, scale, laneMs }) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const all = core ? ['runc'] : ['runc', 'crun'];
  for (const runtime of runtimes.length === 0 ? all : runtimes) {
    for (const { lane, files } of chooseVmFiles(guest, { core, asked })) {
      const title = `${guest.name}, ${runtime}: lane ${lane}`;
      const env = runtime === 'runc' ? {} : { STACKSHIM_TEST_RUNTIME: `/usr/bin/${runtime}` };
      addCounts(total, await runFiles(machine, { title, lane, files, env, scale, laneMs }));
    }
  }
  return total;
}

/**
 * @param {import('./vm-run-files.mjs').Counts} total
 * @param {import('./vm-run-files.mjs').Counts} more
 */
function addCounts(total, more) {
  for (const field of /** @type {const} */ (['passed', 'failed', 'skipped']))
    total[field] += more[field];
}
