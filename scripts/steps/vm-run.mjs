/** Runs test files in test VMs: prepares them on the host, boots the guests in parallel, and counts. */
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { addFailure, noTests } from './counts.mjs';
import { StepFailure } from './failure.mjs';
import { vmNeeds } from './host-needs.mjs';
import { ensureHostPackages } from './host-packages.mjs';
import { note, reportStep, say, speakAs } from './report-step.mjs';
import { whyStopping, withTimeLimit } from './run-program.mjs';
import { chooseAcceleration } from './vm-acceleration.mjs';
import { ensureSystemDisk, makeDataDisk, makeProjectDisk, makeWorkFolder } from './vm-disks.mjs';
import { guests } from './vm-guests.mjs';
import { startMachine } from './vm-machine.mjs';
import { cutPowerWhileBusy } from './vm-power-cut.mjs';
import { runFiles } from './vm-run-files.mjs';
import { buildStacks, makeSeed } from './vm-seed.mjs';
import { afterPowerCut, chooseVmFiles } from './vm-tests.mjs';

/** @typedef {import('./counts.mjs').Counts} Counts */

/** An emulated processor is about twenty times slower than the machine, more beside other load. */
const SLOW = { scale: 20, bootMs: 600_000 };
const FAST = { scale: 2, bootMs: 120_000 };
/** The core must leave time for the other lanes in an hour of CI; all files take a slow processor hours. */
const CORE_LIMIT_MS = 30 * 60_000;
const LIMIT_MS = 12 * 3_600_000;

/**
 * @param {import('./vm-options.mjs').VmOptions} options
 * @returns {Promise<Counts>} what did not come to its end within the time limit counts as failed
 */
export async function testInVms(options) {
  const { core, guests: names } = options;
  const chosen = guests.filter(({ name }) => names.length === 0 || names.includes(name));
  return await withTimeLimit(core ? CORE_LIMIT_MS : LIMIT_MS, async () => {
    await reportStep('packages of the test VM', () => ensureHostPackages(vmNeeds));
    const work = await makeWorkFolder();
    const counts = noTests();
    try {
      const project = `${work}/project.img`;
      await reportStep('disk with this checkout', () => makeProjectDisk(project));
      const stacks = reportStep('stacks that the guests start with', buildStacks);
      // Some tests outside of the core need two.
      const share = Math.floor(availableParallelism() / chosen.length);
      const processors = Math.max(core ? 1 : 2, share);
      const runs = chosen.map((guest) => {
        const given = { ...options, folder: `${work}/${guest.name}`, project, stacks, processors };
        return speakAs(guest.name, () => testInGuest(guest, given, counts));
      });
      await Promise.all(runs);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return counts;
  });
}

/**
 * A failure in one guest does not stop the others.
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {GuestOptions} options
 * @param {Counts} counts
 */
async function testInGuest(guest, options, counts) {
  const parts = planParts(guest, options);
  try {
    await mkdir(options.folder);
    await runParts(guest, { ...options, parts, counts });
  } catch (error) {
    const why = toReason(error);
    say(`failed: ${why}`);
    for (const { title } of parts) note(`not done: ${title}`);
    const undone = parts.length === 0 ? ['power off'] : parts.map(({ title }) => title);
    for (const title of undone) addFailure(counts, `${guest.name}: ${title}`, `not done: ${why}`);
  }
}

/** @param {unknown} error */
function toReason(error) {
  const stopped = whyStopping();
  if (stopped !== undefined) return `stopped by ${stopped}`;
  if (error instanceof StepFailure) return `${error.message}\n${error.hint}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * @typedef {import('./vm-options.mjs').VmOptions & {folder: string, project: string, stacks: Promise<string>, processors: number}} GuestOptions
 * `folder` is its own; `stacks`: the store with them.
 */

/**
 * @typedef {{title: string, runtime: string, files: readonly string[]} | {title: string, cutsPower: true}} Part
 */

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {import('./vm-options.mjs').VmOptions} options
 * @returns {Part[]}
 */
function planParts(guest, { core, runtimes, files: asked, powerCuts }) {
  const chosen = runtimes.length === 0 ? ['runc', 'crun'] : runtimes;
  const lanes = chosen.map((runtime) => {
    const files = chooseVmFiles(guest, { runtime, core, asked });
    return { title: `${files.length} files with ${runtime}`, runtime, files };
  });
  const length = core && guest.borrowsTools ? 0 : powerCuts;
  const cuts = Array.from({ length }, (_, index) => ({
    title: `power cut ${index + 1} of ${powerCuts}`,
    cutsPower: /** @type {const} */ (true),
  }));
  return [...lanes.filter(({ files }) => files.length > 0), ...cuts];
}

/**
 * Removes each part from `parts` when it is done.
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {GuestOptions & {parts: Part[], counts: Counts}} options
 */
async function runParts(guest, options) {
  const { folder, project, stacks, processors, parts, counts, core } = options;
  const systemDisk = reportStep(guest.description, () => ensureSystemDisk(guest));
  const [system, store] = await Promise.all([systemDisk, stacks]);
  const data = `${folder}/data.img`;
  await reportStep('disk for data, with project quotas', async () =>
    makeDataDisk(data, await makeSeed(guest, { store, folder })),
  );
  const { args, isHardware } = await chooseAcceleration(system, folder);
  const { scale, bootMs } = isHardware ? FAST : SLOW;
  const disks = [
    { file: project, readOnly: true },
    { file: data, readOnly: false },
  ];
  const start = () =>
    reportStep('boot', () =>
      startMachine({ system, disks, folder, acceleration: args, processors, bootMs }),
    );
  let machine = await start();
  try {
    for (let part = parts[0]; part !== undefined; part = parts[0]) {
      const { title } = part;
      await reportStep(title, async () => {
        if ('files' in part) {
          const { runtime, files } = part;
          const env = runtime === 'runc' ? {} : { STACKSHIM_TEST_RUNTIME: `/usr/bin/${runtime}` };
          await speakAs(`${guest.name} ${runtime}`, () =>
            runFiles(machine, { files, env, scale, isShared: core, counts }),
          );
          return;
        }
        const promised = await cutPowerWhileBusy(machine, { builds: !guest.borrowsTools });
        machine = await start();
        const env = { STACKSHIM_TEST_PROMISED: JSON.stringify(promised) };
        await runFiles(machine, { files: [afterPowerCut], env, scale, isShared: false, counts });
      });
      parts.shift();
    }
  } finally {
    await reportStep('power off', () => machine.powerOff());
  }
}
