/** Code packages: those of another tenant, and what is taken from a directory of code while root adds it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { openStackshim } from '../../../src/index.ts';
import { runCli } from '../../support/cli/run-cli.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

function writeCode({ folder }: HostProbeScene, main: string): string {
  const code = `${folder}/code`;
  mkdirSync(code, { recursive: true });
  writeFileSync(`${code}/main`, main);
  return code;
}

/** What stackshim prints, whether it succeeds or not. */
async function say(scene: HostProbeScene, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await runCli(args, { env: scene.installation.env });
  return `${stdout}${stderr}`;
}

const nameOf = ({ secret }: HostProbeScene) => `own-${secret.toLowerCase().replace(/\W/g, '')}`;

/** Adds the package of alice. */
async function addOwn(scene: HostProbeScene) {
  const code = writeCode(scene, scene.secret);
  const added = await openStackshim(scene.installation.options).code.add(nameOf(scene), code, {
    tenant: 'alice',
  });
  scene.defer(async () => {
    await runCli(['code', 'rm', nameOf(scene), '--tenant', 'alice'], scene.installation);
  });
  return added;
}

async function nameOthers(scene: HostProbeScene): Promise<ProbeVerdict> {
  const { image } = await addOwn(scene);
  const name = nameOf(scene);
  const own = await say(scene, [...RUN, '--tenant', 'alice', '--code', name, ...CAT]);
  if (!own.includes(scene.secret)) throw new Error('the package cannot be used at all');
  const asked = [name, `${name}@rev:1`, `${name}@${image}`];
  const outputs: string[] = [];
  for (const code of asked) {
    for (const tenant of [['--tenant', 'mallory'], []]) {
      outputs.push(await say(scene, [...RUN, ...tenant, '--code', code, ...CAT]));
      outputs.push(await say(scene, ['code', 'show', code, ...tenant]));
      outputs.push(await say(scene, ['code', 'diff', code, ...tenant]));
    }
  }
  // The digest alone tells somebody who knows it nothing; its layers would.
  return toVerdict(
    outputs.some((text) => text.includes(scene.secret) || /PACKAGE .*own-/.test(text)),
  );
}

const RUN = ['run'] as const;
const CAT = ['busybox', 'cat', '/task/main'] as const;

/** A store of packages by name alone. */
function readByName(scene: HostProbeScene): Promise<ProbeVerdict> {
  const store = `${scene.folder}/packages/${nameOf(scene)}`;
  mkdirSync(store, { recursive: true });
  writeFileSync(`${store}/main`, scene.secret);
  return Promise.resolve(runAsMallory(scene, nameOf(scene), '$2'));
}

function runAsMallory(scene: HostProbeScene, name: string, place: string): ProbeVerdict {
  const script = `cat "packages/${place}/main"`;
  const { stdout } = spawnSync('/bin/sh', ['-c', script, 'sh', 'mallory', name], {
    cwd: scene.folder,
    encoding: 'utf8',
  });
  return toVerdict(stdout.includes(scene.secret));
}

const CLIMBS = (name: string) => [
  `../alice/${name}`,
  `./../alice/${name}`,
  `alice/${name}`,
  `..\u2215alice\u2215${name}`,
  `${name}\0`,
  `${name}@rev:1/../1`,
];

async function climb(scene: HostProbeScene): Promise<ProbeVerdict> {
  await addOwn(scene);
  const { options, layout } = scene.installation;
  const outputs: string[] = [];
  const paths = [
    `${layout.root}/packages/alice/${nameOf(scene)}`,
    scene.folder,
    `${scene.folder}/code`,
  ];
  for (const code of [...CLIMBS(nameOf(scene)), ...paths]) {
    const input = { stack: 'busybox', command: ['cat', '/task/main'], code };
    const ran = openStackshim(options).run(input, { origin: 'job', fields: { tenant: 'mallory' } });
    outputs.push(await ran.then((result) => JSON.stringify(result), String));
  }
  return toVerdict(outputs.some((text) => text.includes(scene.secret)));
}

/** A store by tenant and name, which takes names as they come. */
function climbByPath(scene: HostProbeScene): Promise<ProbeVerdict> {
  for (const tenant of ['alice', 'mallory']) {
    mkdirSync(`${scene.folder}/packages/${tenant}/own`, { recursive: true });
  }
  writeFileSync(`${scene.folder}/packages/alice/own/main`, scene.secret);
  return Promise.resolve(runAsMallory(scene, '../alice/own', '$1/$2'));
}

/** A file that only root of the host may read. */
function linkSettings(scene: HostProbeScene): string {
  const code = writeCode(scene, 'code');
  const path = `${scene.folder}/private`;
  writeFileSync(path, `{"${scene.secret}": 1}\n`, { mode: 0o600 });
  symlinkSync(path, `${code}/stackshim.json`);
  return code;
}

async function readSettings(scene: HostProbeScene): Promise<ProbeVerdict> {
  const code = linkSettings(scene);
  const said = [await say(scene, ['code', 'add', 'linked', code])];
  spawnSync('tar', ['-C', code, '-czf', `${code}.tar.gz`, '.']);
  said.push(await say(scene, ['code', 'add', 'linked', `${code}.tar.gz`]));
  return toVerdict(said.some((text) => text.includes(scene.secret)));
}

function parseSettings(scene: HostProbeScene): Promise<ProbeVerdict> {
  const code = linkSettings(scene);
  const script =
    'const s = JSON.parse(require(`node:fs`).readFileSync(process.argv[1])); console.log(s);';
  const args = ['-e', script, `${code}/stackshim.json`];
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return Promise.resolve(toVerdict(stdout.includes(scene.secret)));
}

export const codePackageProbes: readonly HostProbe[] = [
  {
    name: 'a code package of another tenant',
    group: 'fields of a task',
    tries: 'names a code package of another tenant, by its name, its revision and its digest',
    stoppedBy: 'names are looked up among the packages of the task’s tenant alone',
    shownOn: 'a store of packages by name alone',
    attack: nameOthers,
    proof: readByName,
    timeoutMs: 120_000,
  },
  {
    name: 'a code package by a path',
    group: 'fields of a task',
    tries:
      'gives the name of a code package a path that leads to one of another tenant, or names a path of the host',
    stoppedBy: 'a name has no slash; data from a queue may not name a path',
    shownOn: 'a script that reads below the folder of a tenant',
    attack: climb,
    proof: climbByPath,
    timeoutMs: 120_000,
  },
  {
    name: 'settings of code by a link',
    group: 'files that root reads',
    tries: 'has a link to a file of root’s as the stackshim.json of code that root adds',
    stoppedBy: 'the file is read from the code as it is packed, where links are not followed',
    shownOn: 'a script that reads the file by its name',
    attack: readSettings,
    proof: parseSettings,
  },
];
