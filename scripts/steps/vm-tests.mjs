/** Which test files run in which guest, and why some do not. */
import { existsSync, readdirSync } from 'node:fs';
import { StepFailure } from './failure.mjs';
import { projectRoot } from './paths.mjs';

/** Lanes whose files run in guests; files of `vm` run only there. */
const insideLanes = ['integration', 'e2e', 'security', 'vm'];

/** Files that run in no guest, by name. */
const onlyOnHost = {
  'integration/setup.test.ts': "needs Debian's archive",
  'integration/vagrantfile.test.ts': 'checks one file, with a program of 100 MB',
  'integration/build.test.ts': 'compiles; does not depend on the kernel',
  'integration/queue-store.test.ts': 'does not depend on the kernel',
  'integration/queue-store-outages.test.ts': 'does not depend on the kernel',
  'integration/queue-store-start.test.ts': 'does not depend on the kernel',
  'integration/queue-store-tls.test.ts': 'does not depend on the kernel',
  'integration/docs-examples.test.ts': 'compiles; does not depend on the kernel',
  'integration/exchange-others.test.ts':
    'compares with Docker and Podman, as the full lanes on the host do',
  'security/battery-docker.full.test.ts': 'compares with Docker, as the full lanes on the host do',
  'e2e/completion.test.ts': 'no guest has zsh and fish; does not depend on the kernel',
  'e2e/manual.test.ts': 'no guest has mandoc; does not depend on the kernel',
  'e2e/run-gvisor.test.ts': 'no guest has runsc',
  'e2e/stacks-real.test.ts': "needs Debian's archive; a stack built on the host stands in",
  'e2e/build-managers.full.test.ts': "needs Debian's archive and npm's registry",
};

/** Files that do not run in a guest with borrowed tools: it cannot build. */
const onlyWithBuilder = [
  'integration/images-build',
  'integration/images-update',
  'integration/exchange-',
  'integration/storage-builder',
  'integration/storage-repair',
  'integration/diagnose-host',
  'e2e/exchange',
  'e2e/stack',
  'e2e/doctor',
  'vm/quickstart',
  'vm/update-service',
  // There is no Redis.
  'vm/worker-service',
  // The probes must be compiled.
  'security/battery',
];

/** Files without a runtime, or only with a smoke command: they run only with runc. */
const onlyWithRunc = [
  'integration/exchange-',
  'integration/images-',
  'integration/layers-',
  'integration/leak-check',
  'integration/packages-',
  'integration/trusted-paths',
  'integration/stacks-',
  'integration/storage-',
  'integration/sys-',
  'integration/diagnose-host',
  'e2e/doctor',
  'e2e/exchange',
  'e2e/stack',
  'e2e/storage',
  'vm/',
];

/**
 * What CI has time for in a quarter of an hour on an emulated processor, where a test takes two to three seconds. First what depends on
 * kernel, cgroups and runtime together: it runs in each guest with each runtime.
 */
const coreEverywhere = [
  'e2e/run-limits.test.ts',
  'e2e/run-verdicts.test.ts',
  'security/isolation.test.ts',
];

/** Then what does not depend on the runtime: only with runc, in the guest where it shows most or where there is time. */
const coreOnce = {
  'debian-13': [
    // Newer systemd units, and what borrowed tools cannot do; this guest's power is cut, because it can build meanwhile.
    'vm/machine.test.ts',
    'vm/quickstart.test.ts',
    'vm/systemd.test.ts',
    'vm/worker-service.test.ts',
  ],
  'debian-12': [
    // Both guests have project quotas; this one ends first.
    'e2e/disk-quota.vm.test.ts',
    'e2e/reap.test.ts',
    'integration/cgroup-contract.test.ts',
    'security/slots.test.ts',
    'vm/machine.test.ts',
  ],
};

/**
 * @param {import('./vm-guests.mjs').Guest} guest
 * @param {{runtime: string, core: boolean, asked: readonly string[]}} options `asked`: parts of names; none: all
 * @returns {readonly string[]} paths below test/
 */
export function chooseVmFiles(guest, { runtime, core, asked }) {
  const all = insideLanes.flatMap(listLane);
  const once = runtime === 'runc' ? coreOnce[guest.name] : [];
  const ofCore = [...coreEverywhere, ...once];
  requireKnown([...Object.keys(onlyOnHost), ...ofCore], all);
  return all
    .filter((file) => !(file in onlyOnHost) && file !== afterPowerCut)
    .filter((file) => !guest.borrowsTools || !beginsWith(file, onlyWithBuilder))
    .filter((file) => runtime === 'runc' || !beginsWith(file, onlyWithRunc))
    .filter((file) => !core || ofCore.includes(file))
    .filter((file) => asked.length === 0 || asked.some((name) => file.includes(name)));
}

/**
 * @param {string} file
 * @param {readonly string[]} names
 */
const beginsWith = (file, names) => names.some((name) => file.startsWith(name));

/** The file that checks the state after a power cut: it runs separately. */
export const afterPowerCut = 'vm/after-power-cut.test.ts';

/** @param {string} lane */
function listLane(lane) {
  const folder = `${projectRoot}/test/${lane}`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `${lane}/${name}`)
    .sort();
}

/**
 * A name without a match would run, or leave out, nothing.
 * @param {readonly string[]} names
 * @param {readonly string[]} all
 */
function requireKnown(names, all) {
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length === 0) return;
  throw new StepFailure(
    `no such test file: ${unknown.join(', ')}`,
    'see scripts/steps/vm-tests.mjs',
  );
}
