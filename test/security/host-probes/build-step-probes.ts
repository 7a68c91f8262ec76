/** Build steps that leave something for later tasks: for those of another tenant, or with more rights than the build step had. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { runCli } from '../../support/cli/run-cli.ts';
import { writePolicy } from '../../support/installation/write-policy.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

/** Other probes have other code, so they share no build with this one. */
function writeCode({ folder, secret }: HostProbeScene): string {
  const code = `${folder}/code`;
  mkdirSync(code, { recursive: true });
  writeFileSync(`${code}/main`, secret);
  return code;
}

interface BuiltTask {
  readonly build: string;
  /** A line for the shell of the task. */
  readonly look: string;
  readonly options?: readonly string[];
}

/** What the task prints. A task whose build step fails prints nothing. */
async function runBuilt(scene: HostProbeScene, task: BuiltTask): Promise<string> {
  const { build, look, options = [] } = task;
  const own = ['--code', writeCode(scene), '--build', build, ...options];
  const command = ['busybox', 'sh', '-c', look];
  return (await runCli(['run', ...own, ...command], { env: scene.installation.env })).stdout;
}

/** A cache in a folder, with the digest of the code and the command as its key. */
const FOLDER_CACHE = `
key=$({ cat code/main; echo "$1"; } | sha256sum | cut -c1-64)
test -d "cache/$key" || { mkdir -p "cache/$key" && cp -a code/. "cache/$key/" && (cd "cache/$key" && sh -c "$1"); }
cp -a "cache/$key" "$2" && cd "$2" && sh -c "$3"
`;

function runInFolder(scene: HostProbeScene, task: BuiltTask & { readonly name: string }): string {
  writeCode(scene);
  const args = ['-c', FOLDER_CACHE, 'sh', task.build, task.name, task.look];
  return spawnSync('/bin/sh', args, { cwd: scene.folder, encoding: 'utf8' }).stdout;
}

const DRAW = 'cat /proc/sys/kernel/random/uuid > drawn';

async function takeOthers(scene: HostProbeScene): Promise<ProbeVerdict> {
  const task = { build: DRAW, look: 'cat drawn' };
  const mine = await runBuilt(scene, { ...task, options: ['--tenant', 'mallory'] });
  const theirs = await runBuilt(scene, { ...task, options: ['--tenant', 'alice'] });
  const nobodys = await runBuilt(scene, task);
  if ([mine, theirs, nobodys].includes('')) throw new Error('a build step failed');
  return toVerdict(mine === theirs || mine === nobodys);
}

function shareFolder(scene: HostProbeScene): Promise<ProbeVerdict> {
  const task = { build: DRAW, look: 'cat drawn' };
  const mine = runInFolder(scene, { ...task, name: 'mallory' });
  return Promise.resolve(toVerdict(mine === runInFolder(scene, { ...task, name: 'alice' })));
}

/** A file that only root of the host may read. */
function writeSecret({ folder, secret }: HostProbeScene): string {
  const path = `${folder}/private`;
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  return path;
}

async function linkOut(scene: HostProbeScene): Promise<ProbeVerdict> {
  const path = writeSecret(scene);
  const build = `ln -s ${path} leak; ln -s ${scene.folder} out; ln -s /proc/1/root root`;
  const look = `cat leak out/private root${path} 2>/dev/null; true`;
  const options = ['--tenant', 'mallory'];
  const outputs = [await runBuilt(scene, { build, look, options })];
  outputs.push(await runBuilt(scene, { build, look, options }));
  return toVerdict(outputs.some((output) => output.includes(scene.secret)));
}

function followLinks(scene: HostProbeScene): Promise<ProbeVerdict> {
  const path = writeSecret(scene);
  const [from, to] = [`${scene.folder}/from`, `${scene.folder}/to`];
  for (const folder of [from, to]) mkdirSync(folder);
  execFileSync('ln', ['-s', path, `${from}/leak`]);
  execFileSync('cp', ['-RL', `${from}/.`, to]);
  return Promise.resolve(toVerdict(readFileSync(`${to}/leak`, 'utf8').includes(scene.secret)));
}

const STAT = 'stat -c "%a %F" tool null 2>/dev/null; true';
const isRisky = (listed: string) => /^[1-7]\d{3} |special file/m.test(listed);

async function leaveRights(scene: HostProbeScene): Promise<ProbeVerdict> {
  // Even with the rights that a policy may grant.
  const options = ['--userns', 'host', '--cap-add', 'MKNOD', '--cap-add', 'SETFCAP'];
  const build =
    'cp /bin/busybox tool; chmod 6755 tool; mknod -m 666 null c 1 3; ls -l; test -c null';
  const more = ['--security-opt', 'no-new-privileges=false'];
  const listed = await runBuilt(scene, { build, look: STAT, options: [...options, ...more] });
  if (listed === '') throw new Error('the build step failed');
  return toVerdict(isRisky(listed));
}

function copyAll(scene: HostProbeScene): Promise<ProbeVerdict> {
  const build = 'cp /bin/busybox tool; chmod 6755 tool; mknod -m 666 null c 1 3';
  return Promise.resolve(
    toVerdict(isRisky(runInFolder(scene, { build, look: STAT, name: 'copied' }))),
  );
}

/** Goes on writing after the build's command has ended. */
const STAY =
  'setsid sh -c "while :; do cat /proc/uptime >> grows; sleep 0.01; done" > /dev/null 2>&1 &';

async function stayAndWrite(scene: HostProbeScene): Promise<ProbeVerdict> {
  const { layout } = scene.installation;
  writePolicy(layout, { allow: { pid: ['host'] } });
  scene.defer(() => writePolicy(layout, {}));
  const options = ['--pid', 'host', '--userns', 'host'];
  const task = { build: `${STAY} sleep 0.2`, look: 'wc -c < grows', options };
  const first = await runBuilt(scene, task);
  const second = await runBuilt(scene, task);
  if (first === '' || second === '') throw new Error('a build step failed');
  return toVerdict(first !== second);
}

function copyWhileWritten(scene: HostProbeScene): Promise<ProbeVerdict> {
  const build = `${STAY} echo $! > ${scene.folder}/pid; sleep 0.2`;
  runInFolder(scene, { build, look: 'true', name: 'once' });
  const cache = execFileSync('sh', ['-c', 'echo "$1"/cache/*', 'sh', scene.folder]);
  const path = `${cache.toString().trim()}/grows`;
  const before = statSync(path).size;
  execFileSync('sleep', ['0.2']);
  const after = statSync(path).size;
  const pid = Number(readFileSync(`${scene.folder}/pid`, 'utf8'));
  scene.defer(() => void process.kill(-pid, 'SIGKILL'));
  return Promise.resolve(toVerdict(after > before));
}

/** Names and attributes by which an overlay is told to hide or to replace files. */
async function steerOverlay(scene: HostProbeScene): Promise<ProbeVerdict> {
  const attempts = ['touch .wh.main', 'mkdir d; touch d/.wh..wh..opq', 'touch .wh..wh.plnk'];
  const outputs: string[] = [];
  for (const build of attempts) outputs.push(await runBuilt(scene, { build, look: 'echo ran' }));
  return toVerdict(outputs.some((output) => output !== ''));
}

/** Packs the folder as it is, and reads the names as an image's. */
function packNames(scene: HostProbeScene): Promise<ProbeVerdict> {
  const upper = `${scene.folder}/upper`;
  mkdirSync(upper);
  writeFileSync(`${upper}/.wh.main`, '');
  execFileSync('sh', ['-c', 'tar -C "$1" -cf "$1.tar" .', 'sh', upper]);
  const image = `${scene.folder}/image.erofs`;
  execFileSync('mkfs.erofs', ['--quiet', '--tar=f', '--aufs', image, `${upper}.tar`]);
  const listed = execFileSync('dump.erofs', ['--path=/main', image], { encoding: 'utf8' });
  chmodSync(image, 0o600);
  return Promise.resolve(toVerdict(/main/.test(listed)));
}

const COMMON = { group: 'what a task writes', timeoutMs: 120_000 } as const;

export const buildStepProbes: readonly HostProbe[] = [
  {
    ...COMMON,
    name: 'a build for another tenant',
    tries: 'builds first, so that a task of another tenant with the same code gets its files',
    stoppedBy: 'the tenant is part of the key of a build',
    shownOn: 'a cache of folders, named by the digest of code and command',
    attack: takeOthers,
    proof: shareFolder,
  },
  {
    ...COMMON,
    name: 'links of a build',
    tries: 'leaves links to a file of root’s, which later tasks read through them',
    stoppedBy: 'links are packed as links; only tasks follow them, in their own root filesystem',
    shownOn: '`cp -RL`',
    attack: linkOut,
    proof: followLinks,
  },
  {
    ...COMMON,
    name: 'rights and devices of a build',
    tries: 'leaves a setuid file and a device node, made with rights that the policy granted',
    stoppedBy: 'neither is packed; `/task` is `nosuid` and `nodev`',
    shownOn: '`cp -a`',
    attack: leaveRights,
    proof: copyAll,
  },
  {
    ...COMMON,
    name: 'a build that goes on writing',
    tries: 'leaves a process that writes into `/task` while it is packed and afterwards',
    stoppedBy:
      'all processes of a build are killed before its files are read, and tasks get a copy',
    shownOn: 'a folder that is used where it was built',
    attack: stayAndWrite,
    proof: copyWhileWritten,
  },
  {
    ...COMMON,
    name: 'names that steer an overlay',
    tries: 'leaves names by which a layer deletes files of the layers below',
    stoppedBy: 'a build with such a name fails',
    shownOn: 'an image packed by `tar` and `mkfs.erofs --aufs`',
    attack: steerOverlay,
    proof: packNames,
  },
];
