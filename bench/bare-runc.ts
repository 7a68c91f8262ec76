/**
 * The baseline: `runc run` with a task's generated config, on a root filesystem that was prepared before.
 * It covers only what follows stackshim's work, and leaves its writable layer for the next run.
 */
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { runTask } from 'stackshim';
import { type Installed, imageLayers } from './installed.ts';

interface Mount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

interface Config {
  root: { path: string };
  mounts: Mount[];
  linux: { cgroupsPath: string; uidMappings: { hostID: number; size: number }[] };
}

export interface BareRunc {
  /** Milliseconds from spawn to exit. */
  run(): Promise<number>;
  /** The same command line without running it, to measure how it is run. */
  readonly runtime: string;
  dispose(): void;
}

/** Prepares the bundle of `command` in `stack` with stackshim's defaults. */
export async function prepareBareRunc(
  installed: Installed,
  command: readonly string[],
): Promise<BareRunc> {
  const folder = `${installed.run}/bench-bare`;
  mkdirSync(`${folder}/rootfs`, { recursive: true });
  const config = await captureConfig(installed, command, `${folder}/config.json`);
  const mounts = mountRootfs(installed, config, folder);
  config.root.path = `${folder}/rootfs`;
  leaveOutHosts(config);
  leaveDevToRunc(config);
  config.linux.cgroupsPath = `${config.linux.cgroupsPath}-bare`;
  writeFileSync(`${folder}/config.json`, JSON.stringify(config));
  let count = 0;
  return {
    runtime: installed.runc,
    async run() {
      count += 1;
      const args = ['--root', `${folder}/state`, 'run', '--bundle', folder, `bare-${count}`];
      return await timeProgram(installed.runc, args);
    },
    dispose() {
      for (const mount of mounts.reverse()) mustRun('umount', [mount]);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Milliseconds of a program from spawn to exit; it must succeed. */
export async function timeProgram(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(program, args, { stdio: 'ignore', ...options });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}`);
  return performance.now() - startedAt;
}

/** Copies the config that stackshim generates, while a task with it exists. */
async function captureConfig(
  installed: Installed,
  command: readonly string[],
  target: string,
): Promise<Config> {
  const result = await runTask(
    { stack: installed.stack, command },
    {
      ...installed.options,
      onEvent(event) {
        if (event.type !== 'created') return;
        copyFileSync(`${installed.run}/tasks/${event.id}/bundle/config.json`, target);
      },
    },
  );
  if (result.verdict !== 'succeeded') throw new Error(JSON.stringify(result));
  return JSON.parse(readFileSync(target, 'utf8'));
}

/** That task's hosts file is removed with it; most images have one, so that it is no bind of the runtime. */
function leaveOutHosts(config: Config): void {
  config.mounts = config.mounts.filter(({ destination }) => destination !== '/etc/hosts');
}

/** The task's `/dev` is removed with it: runc makes its own, as for any container. */
function leaveDevToRunc(config: Config): void {
  const dev = config.mounts.find(({ destination }) => destination === '/dev');
  if (dev?.type !== 'bind') throw new Error('expected a prepared /dev');
  const options = ['nosuid', 'noexec', 'strictatime', 'mode=755', 'size=64k'];
  Object.assign(dev, { type: 'tmpfs', source: 'tmpfs', options });
}

/** The same layers, mapped to the same ids, below a writable layer of their own. */
function mountRootfs(installed: Installed, config: Config, folder: string): string[] {
  const [mapping] = config.linux.uidMappings;
  if (mapping === undefined) throw new Error('the generated config has no id mapping');
  const { hostID, size } = mapping;
  const mounts: string[] = [];
  const lowers = imageLayers(installed).map((layer, index) => {
    const place = `${folder}/lower-${index}`;
    mkdirSync(place);
    mustRun('mount', [
      '--bind',
      '-o',
      `X-mount.idmap=b:0:${hostID}:${size}`,
      `${installed.run}/layers/${layer}`,
      place,
    ]);
    mounts.push(place);
    return place;
  });
  for (const name of ['upper', 'work']) mkdirSync(`${folder}/${name}`);
  mustRun('chown', [`${hostID}:${hostID}`, `${folder}/upper`]);
  const options = `lowerdir=${lowers.reverse().join(':')},upperdir=${folder}/upper,workdir=${folder}/work`;
  mustRun('mount', ['-t', 'overlay', 'overlay', '-o', options, `${folder}/rootfs`]);
  return [...mounts, `${folder}/rootfs`];
}

function mustRun(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}
