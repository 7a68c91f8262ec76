/**
 * npm run quickstart:worker: takes a machine with Node alone to jobs in five languages, run by a worker from a queue. A Redis of its own is
 * started unless STACKSHIM_STORE_URL names a store. All that it starts ends with it; with --stay, it goes on until Ctrl-C. Names of stacks
 * choose some of the languages.
 */
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { startAndAwait } from './steps/background.mjs';
import { ensureBuild } from './steps/ensure-build.mjs';
import { StepFailure } from './steps/failure.mjs';
import { buildNeeds, storeNeeds } from './steps/host-needs.mjs';
import { ensureHostPackages } from './steps/host-packages.mjs';
import { ensureOwnFolder } from './steps/own-folder.mjs';
import { executableFile, installationRoot } from './steps/paths.mjs';
import { prepareHost } from './steps/prepare-host.mjs';
import { startPrivateRedis } from './steps/private-redis.mjs';
import { buildQuickstartStacks } from './steps/quickstart-stacks.mjs';
import { note, reportStep } from './steps/report-step.mjs';
import { requireRoot } from './steps/require-root.mjs';
import { isStopping, runProgram } from './steps/run-program.mjs';
import { runScript } from './steps/run-script.mjs';
import { sampleJobs, samplePayload } from './steps/sample-jobs.mjs';

const QUEUE = 'quickstart';
const READY_MS = 20_000;
const howToGoOn = `
The worker and its Redis were stopped, and their files removed; the stacks stay.
To keep both running and add jobs of your own:  npm run quickstart:worker -- --stay
To run a worker as a service:                   docs/worker.md`;

await runScript(async () => {
  const startedAt = Date.now();
  const given = process.env.STACKSHIM_STORE_URL;
  const jobs = chooseJobs(process.argv.slice(2).filter((argument) => argument !== '--stay'));
  await requireRoot('quickstart:worker', [...buildNeeds, ...storeNeeds]);
  await prepareHost({ forTests: false });
  if (given === undefined) await reportStep('Redis', () => ensureHostPackages(storeNeeds));
  await ensureBuild();
  await buildQuickstartStacks(['base/debian-13', ...jobs.map(({ stack }) => `stacks/${stack}`)]);
  const folder = makeFolder();
  /** @type {[what: string, end: () => Promise<void>][]} */
  const ends = [];
  try {
    const redis = given === undefined ? await startStore(folder) : undefined;
    if (redis !== undefined) ends.unshift(['Redis', redis.end]);
    const store = given ?? redis?.url ?? '';
    const worker = await startWorker(folder, store);
    ends.unshift(['the worker', worker.end]);
    console.log(`\nJobs of the queue ${QUEUE}, in the order in which they end:\n`);
    await Promise.all(jobs.map((job) => pushJob(job, store)));
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    console.log(`\n${jobs.length} jobs are done. Ready after ${seconds} s.`);
    if (process.argv.includes('--stay')) await stay({ folder, store }, worker.ended);
    else console.log(howToGoOn);
  } finally {
    // The worker first: it drains, for which it needs the store.
    for (const [what, end] of ends) await reportStep(`stop ${what}`, end);
    rmSync(folder, { recursive: true, force: true });
  }
});

/** @param {readonly string[]} stacks none: all */
function chooseJobs(stacks) {
  const known = sampleJobs.map(({ stack }) => stack);
  const unknown = stacks.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new StepFailure(
      `no sample job: ${unknown.join(', ')}`,
      `name some of ${known.join(', ')}`,
    );
  }
  return sampleJobs.filter(({ stack }) => stacks.length === 0 || stacks.includes(stack));
}

/** Below the root folder. Removes what a killed quick start left. */
function makeFolder() {
  ensureOwnFolder(installationRoot);
  for (const name of readdirSync(installationRoot)) {
    const pid = /^quickstart-(\d+)$/.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    rmSync(`${installationRoot}/${name}`, { recursive: true, force: true });
  }
  const folder = `${installationRoot}/quickstart-${process.pid}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o711 });
  return folder;
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch {
    return false;
  }
}

/** @param {string} folder */
async function startStore(folder) {
  const redis = await reportStep('start a private Redis', () => startPrivateRedis(folder));
  note(`on loopback, with a password; its data are in ${folder}`);
  return redis;
}

/**
 * @param {string} folder
 * @param {string} store
 */
async function startWorker(folder, store) {
  const health = `${folder}/health`;
  const command = [executableFile, 'worker', '--health', health, QUEUE];
  note(`stackshim ${command.slice(1).join(' ')}`);
  return await reportStep('start a worker', () =>
    startAndAwait(command, {
      logFile: `${folder}/worker.log`,
      env: { STACKSHIM_STORE_URL: store },
      isReady: () => isReady(health),
      limitMs: READY_MS,
    }),
  );
}

/**
 * @param {string} socketPath
 * @returns {Promise<boolean>}
 */
function isReady(socketPath) {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: '/readyz' }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.once('error', () => resolve(false));
    asked.end();
  });
}

/**
 * @param {import('./steps/sample-jobs.mjs').SampleJob} job
 * @param {string} store
 */
async function pushJob({ stack, command }, store) {
  const add = ['queue', 'add', QUEUE, '--stack', stack, '--payload', samplePayload, '--wait'];
  const { stdout } = await runProgram(executableFile, [...add, '--', ...command], {
    env: { STACKSHIM_STORE_URL: store },
    output: 'capture',
  });
  console.log(`  ${stack.padEnd(12)} ${stdout.trimEnd()}`);
}

/**
 * Until a signal comes or the worker has ended.
 * @param {{folder: string, store: string}} where
 * @param {Promise<void>} ended
 */
async function stay({ folder, store }, ended) {
  const urlFile = `${folder}/store-url`;
  writeFileSync(urlFile, `${store}\n`, { mode: 0o600 });
  console.log(`
The worker goes on until you press Ctrl-C here. Its log is ${folder}/worker.log. In another shell of root:

  export STACKSHIM_STORE_URL="$(cat ${urlFile})"
  ${executableFile} queue add ${QUEUE} --stack python-3.13 --wait -- python3 -c 'print(6 * 7)'
  ${executableFile} queue ls ${QUEUE}`);
  const stopped = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => once(process, name));
  const alive = setInterval(() => undefined, 1000);
  if (!isStopping()) await Promise.race([...stopped, ended]);
  clearInterval(alive);
}
