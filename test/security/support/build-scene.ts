/** Host probes on builds: stack folders that another local user has changed, built by stackshim and by a builder without protection. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runCli, type StartedCli, startCli } from '../../support/cli/run-cli.ts';
import { disposeInstallation } from '../../support/installation/dispose-installation.ts';
import { envOf, layoutBelow, prepareLayout } from '../../support/installation/test-layout.ts';
import { AS_STRANGER, STRANGER_ID } from '../../support/programs/stranger.ts';
import { BUSYBOX_IMAGE } from '../../support/stacks/build-lab.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { HostProbeScene } from './host-probe.ts';

/** Runs a program; rejects unless it exits with 0. */
export const runProgram = promisify(execFile);

const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;

/** A stack folder of root below `parent`: busybox, a Dockerfile with `lines` after it, and other files by name. */
export function writeStack(
  parent: string,
  name: string,
  lines: readonly string[],
  files: Readonly<Record<string, string>> = {},
): string {
  const folder = join(parent, name);
  mkdirSync(folder, { recursive: true });
  cpSync('/bin/busybox', join(folder, 'busybox'), { dereference: true });
  const dockerfile = `${[...BUSYBOX_IMAGE, ...lines, SMOKE].join('\n')}\n`;
  for (const [file, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
    mkdirSync(join(folder, file, '..'), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

/** A folder that only root can enter; its file `key` contains the scene's secret. */
export function hideSecret({ folder, secret }: HostProbeScene): string {
  const hidden = join(folder, 'hidden');
  mkdirSync(hidden, { mode: 0o700 });
  writeFileSync(join(hidden, 'key'), `${secret}\n`, { mode: 0o600 });
  return hidden;
}

/** A folder in which everybody can create files and only root can remove those of others, like /tmp. */
export function openFolder({ folder }: HostProbeScene, name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  chmodSync(path, 0o1777);
  return path;
}

export function giveToStranger(...paths: readonly string[]): void {
  for (const path of paths) chownSync(path, STRANGER_ID, STRANGER_ID);
}

const asStranger = (script: string) => [...AS_STRANGER.slice(1), 'sh', '-c', script];

/** Runs a script as the local user. */
export function runAsStranger(script: string): void {
  const { status, stderr } = spawnSync('setpriv', asStranger(script), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the local user's script ended with ${status}: ${stderr}`);
}

/** Starts a script that runs until it is told to stop; resolves when it has printed `word`. */
export async function startAsStranger(
  script: string,
  word = 'begun',
): Promise<{ readonly stop: () => Promise<void> }> {
  const child = spawn('setpriv', asStranger(`echo begun; ${script}`), {
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  const ended = once(child, 'close');
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await waitUntil(() => said.includes(word));
  return {
    stop: async () => {
      killGroup(child);
      await ended;
    },
  };
}

function killGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, 'SIGKILL');
}

/** Builds with the executable in the scene's own installation. */
export interface BuildPlace {
  /** The root folder of that installation. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  build(folder: string): Promise<void>;
  start(folder: string): StartedCli;
  /** Whether the stack was built and its file `/loot` contains the scene's secret. */
  hasLoot(stack: string): Promise<boolean>;
}

const SHIM_FAILED = 125;

export function openBuildPlace(scene: HostProbeScene): BuildPlace {
  const place = join(scene.folder, 'place');
  const layout = layoutBelow(place);
  prepareLayout(layout);
  scene.defer(() => disposeInstallation(layout));
  const env = envOf(layout);
  const start = (folder: string) => startCli(['stack', 'build', folder], { env });
  return {
    root: layout.root,
    env,
    start,
    build: async (folder) => void (await start(folder).ended),
    hasLoot: async (stack) => {
      const ran = await runCli(['run', stack, '--', 'cat', '/loot'], { env });
      const isMissing = ran.stderr.includes('ERR_STACKSHIM_STACK_NOT_FOUND');
      // A task that could not run shows nothing of the image.
      if (ran.status === SHIM_FAILED && !isMissing) throw new Error(ran.stderr);
      return ran.stdout.includes(scene.secret);
    },
  };
}

/** Options of a builder without protection. */
export interface NaiveBuild {
  /** The folder `shared`, from anywhere. */
  readonly shared?: string;
  /** The folder for its files. By default `naive` in the scene's folder, open to everybody. */
  readonly home?: string;
}

const ISOLATED = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child=KILL'];

/** The program and its arguments, to watch it while it runs. */
export function naiveCommand(
  scene: HostProbeScene,
  folder: string,
  { shared, home = join(scene.folder, 'naive') }: NaiveBuild = {},
): readonly [string, readonly string[]] {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  writeFileSync(join(home, 'storage.conf'), '[storage]\ndriver = "overlay"\n');
  // The builder looks for a network helper that it never starts.
  writeFileSync(join(home, 'netavark'), '#!/bin/false\n', { mode: 0o755 });
  const engine = `[engine]\nhelper_binaries_dir = [${JSON.stringify(home)}]\n`;
  writeFileSync(join(home, 'containers.conf'), engine);
  const storage = ['--root', `${home}/storage`, '--runroot', `${home}/run`];
  const policy = ['--signature-policy', `${home}/policy.json`];
  const build = [
    ...['build', '--isolation', 'chroot', '--network', 'host', '--pull=never', '--layers=false'],
    ...[...policy, '--tag', 'localhost/naive', '--ulimit', 'nofile=1024:1024'],
    ...['--ulimit', 'nproc=1024:1024', '--file', `${folder}/Dockerfile`],
    ...(shared === undefined ? [] : ['--build-context', `shared=${shared}`]),
  ];
  const push = ['push', '--quiet', '--disable-compression', ...policy, 'localhost/naive'];
  const script = [
    `export TMPDIR='${home}' HOME='${home}' CONTAINERS_STORAGE_CONF='${home}/storage.conf'`,
    `export CONTAINERS_CONF='${home}/containers.conf'`,
    `buildah ${[...storage, ...build].join(' ')} '${folder}'`,
    `rm -rf '${home}/pushed'`,
    `buildah ${[...storage, ...push].join(' ')} 'dir:${home}/pushed'`,
  ].join(' && ');
  return ['unshare', [...ISOLATED, '--mount-proc', '--', 'sh', '-c', script]];
}

/** Builds like plain `buildah`: the folder as it is when it is read, with host ids and devices. */
export async function buildNaively(
  scene: HostProbeScene,
  folder: string,
  options?: NaiveBuild,
): Promise<void> {
  const [program, args] = naiveCommand(scene, folder, options);
  await runProgram(program, args);
}

/** Whether a layer of {@link buildNaively} contains the scene's secret. */
export function naiveHasLoot({ folder, secret }: HostProbeScene): boolean {
  const pushed = join(folder, 'naive/pushed');
  // Not the image's history, which contains every line of the Dockerfile.
  const { layers }: { readonly layers: readonly { readonly digest: string }[] } = JSON.parse(
    readFileSync(join(pushed, 'manifest.json'), 'utf8'),
  );
  return layers.some(({ digest }) =>
    readFileSync(join(pushed, digest.slice('sha256:'.length))).includes(secret),
  );
}
