/** Probes in a container without protection: root of the host with every capability, no filter, no limits, nothing masked. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { openCgroupDriver } from '../../../src/cgroup/open-cgroup-driver.ts';
import { layoutFrom, runtimesDir } from '../../../src/core/layout.ts';
import { CAPABILITIES } from '../../../src/spec/policy.ts';
import { signalProcess } from '../../../src/sys/processes.ts';
import type { ProbeImage } from '../../support/programs/probe-image.ts';
import { watchProgram } from '../../support/programs/watched-program.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { ContainerSetting, PlacedContainer, ProbePlace } from './probe-place.ts';

const { SIGKILL } = constants.signals;

export function openOpenPlace(folder: string, image: ProbeImage): ProbePlace {
  const installed = join(runtimesDir(layoutFrom({}, process.env)), 'runc');
  const runtime = existsSync(installed) ? installed : 'runc';
  const containers = join(folder, 'open');
  mkdirSync(containers, { mode: 0o755 });
  let count = 0;
  return {
    name: 'open',
    folders: [containers],
    start(setting) {
      count += 1;
      return startOpen(`${containers}/${count}`, { runtime, image, setting });
    },
  };
}

interface OpenStart {
  readonly runtime: string;
  readonly image: ProbeImage;
  readonly setting: ContainerSetting;
}

function startOpen(bundle: string, { runtime, image, setting }: OpenStart): PlacedContainer {
  const id = `probe-${randomBytes(4).toString('hex')}`;
  const rootfs = join(setting.open.sharedRoot ? setting.sceneFolder : bundle, 'rootfs');
  const [cgroup, pidFile] = [`/stackshim-${id}`, join(bundle, 'pid')];
  mkdirSync(bundle, { mode: 0o711 });
  const written = setting.open.overlay ? mountOverlay(bundle, image.rootfs) : rootfs;
  if (!existsSync(rootfs)) execFileSync('cp', ['-a', image.rootfs, rootfs]);
  const device = setting.task.device && makeNode(bundle, setting.task.device);
  const given = setting.open.hostBinds ? mountOnHost(bundle, setting) : setting;
  const config = toOpenConfig(rootfs, cgroup, device ? withBind(given, device) : given);
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  const command = [runtime, '--root', join(bundle, 'state')];
  const leaked = setting.open.leaked === undefined ? undefined : openSync(setting.open.leaked, 'r');
  const keep = leaked === undefined ? [] : ['--preserve-fds', '1'];
  const run = [...command, 'run', '--bundle', bundle, '--pid-file', pidFile, ...keep, id];
  const program = watchProgram(run, leaked === undefined ? {} : { extra: leaked });
  if (leaked !== undefined) closeSync(leaked);
  return {
    program,
    findPid: () => waitUntil(() => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8'))),
    writtenTo: async () => written,
    async stop() {
      await waitUntil(() => existsSync(pidFile) || program.hasEnded());
      // In the host's pid namespace and outside of its cgroup, nothing else would end it.
      if (!program.hasEnded()) signalProcess(Number(readFileSync(pidFile, 'utf8')), SIGKILL);
      spawnSync(command[0] ?? '', [...command.slice(1), 'delete', '--force', id], {
        stdio: 'pipe',
      });
      await program.ended;
      // Another user may be reading it.
      if (setting.open.overlay) await waitUntil(() => tryUnmount(rootfs));
      if (given !== setting) unmountOnHost(given);
      await waitUntil(async () => (await openCgroupDriver().remove(cgroup)).length === 0);
    },
  };
}

const tryUnmount = (folder: string): boolean => spawnSync('umount', [folder]).status === 0;

/** As tools do that create a node for every user of the container. */
function makeNode(bundle: string, device: string): string {
  const node = join(bundle, 'devices/0');
  mkdirSync(join(bundle, 'devices'), { mode: 0o711 });
  const numbers = execFileSync('stat', ['-c', '%Hr %Lr', device], { encoding: 'utf8' });
  execFileSync('mknod', ['-m', '666', node, 'b', ...numbers.trim().split(' ')]);
  return node;
}

const withBind = (setting: ContainerSetting, source: string): ContainerSetting => ({
  ...setting,
  binds: [...setting.binds, { source, target: setting.task.device ?? '' }],
});

/** The setting with every bind, and the code, mounted below the bundle. */
function mountOnHost(bundle: string, setting: ContainerSetting): ContainerSetting {
  const mounted = (source: string, name: string) => {
    const target = join(bundle, 'binds', name);
    mkdirSync(target, { recursive: true });
    execFileSync('mount', ['--bind', source, target]);
    return target;
  };
  const binds = setting.binds.map((bind, index) => ({
    ...bind,
    source: mounted(bind.source, String(index)),
  }));
  const { code } = setting;
  return { ...setting, binds, ...(code === undefined ? {} : { code: mounted(code, 'code') }) };
}

function unmountOnHost({ binds, code }: ContainerSetting): void {
  for (const { source } of binds) execFileSync('umount', [source]);
  if (code !== undefined) execFileSync('umount', [code]);
}

/** Mounts it at the bundle's `rootfs`; returns its upper folder. */
function mountOverlay(bundle: string, lower: string): string {
  const [upper, work, target] = ['upper', 'work', 'rootfs'].map((name) => join(bundle, name));
  for (const path of [upper, work, target]) mkdirSync(path ?? '');
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  execFileSync('mount', ['-t', 'overlay', '-o', options, 'overlay', target ?? '']);
  return upper ?? '';
}

/** RLIM_INFINITY; JSON writes it as a number beyond exact integers. */
const UNLIMITED = { soft: 2 ** 40, hard: 2 ** 40 };

/** Every capability. */
function ownCapabilities(): readonly string[] {
  const bits = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const held = BigInt(`0x${bits}`);
  return CAPABILITIES.filter((_, bit) => ((held >> BigInt(bit)) & 1n) === 1n);
}

const tmpfs = (destination: string, ...options: readonly string[]) => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options,
});

function toOpenConfig(rootfs: string, cgroupsPath: string, setting: ContainerSetting): object {
  const { task, open } = setting;
  const shared: readonly string[] = open.share ?? [];
  const own = ['pid', 'network', 'ipc', 'uts', 'cgroup'].filter((kind) => !shared.includes(kind));
  const caller = open.environment ? setting.callerEnv : {};
  const payload = setting.payload === undefined ? {} : { PAYLOAD: setting.payload };
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...setting.env, ...payload, ...caller };
  const all = ownCapabilities();
  return {
    ociVersion: '1.0.2',
    root: { path: rootfs },
    ...(shared.includes('uts') ? {} : { hostname: 'open' }),
    process: {
      args: setting.command,
      cwd: open.workdir?.replaceAll('$FOLDER', setting.sceneFolder) ?? '/',
      env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
      user: { uid: task.user ?? 0, gid: task.user ?? 0 },
      ...(open.coreFiles ? { rlimits: [{ type: 'RLIMIT_CORE', ...UNLIMITED }] } : {}),
      capabilities: { bounding: all, effective: all, permitted: all },
    },
    mounts: toOpenMounts(setting),
    linux: {
      cgroupsPath,
      resources: { devices: [{ allow: true, access: 'rwm' }] },
      namespaces: ['mount', ...own].map((type) => ({ type })),
    },
  };
}

function toOpenMounts({
  task,
  open,
  binds,
  sceneFolder,
  code,
}: ContainerSetting): readonly object[] {
  const bind = (source: string, destination: string) => ({
    source,
    destination,
    type: 'bind',
    options: ['rbind', 'rw'],
  });
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
    tmpfs('/dev', 'mode=755'),
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['newinstance', 'ptmxmode=0666'],
    },
    tmpfs('/dev/shm', 'mode=1777'),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue' },
    { destination: '/sys', type: 'sysfs', source: 'sysfs' },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup' },
    ...(task.tmpfs ?? []).map((target) => tmpfs(target, 'mode=1777', 'size=100%')),
    ...binds.map(({ source, target }) => bind(source, target)),
    ...(code === undefined ? [] : [bind(code, '/task')]),
    ...(task.fuse ? [bind('/dev/fuse', '/dev/fuse')] : []),
    ...(open.sceneFolder ? [bind(sceneFolder, sceneFolder)] : []),
  ];
}
