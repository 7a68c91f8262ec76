/** Compares the import of one OCI archive with `docker load` and `podman load` of the same file, each into an empty store. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Installed } from './installed.ts';
import { type Summary, summarize } from './statistics.ts';

export interface Imports {
  readonly archiveBytes: number;
  /** Milliseconds; without smoke command, because the others run none either. */
  readonly stackshim: Summary;
  /** Null if it is not installed. */
  readonly docker: Summary | null;
  readonly podman: Summary | null;
}

const ROUNDS = 3;
const DOCKER_STARTS_WITHIN_MS = 30_000;

export async function measureImports(installed: Installed): Promise<Imports> {
  const folder = mkdtempSync('/var/tmp/stackshim-bench-import-');
  try {
    const archive = `${folder}/image.tar`;
    execFileSync(installed.executable, ['stack', 'export', installed.stack, archive], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { ...process.env, STACKSHIM_ROOT: installed.root, STACKSHIM_RUN: installed.run },
    });
    const samples = { stackshim: [] as number[], docker: [] as number[], podman: [] as number[] };
    const hasDocker = isInstalled('dockerd') && isInstalled('docker');
    const hasPodman = isInstalled('podman');
    for (let round = 0; round < ROUNDS; round += 1) {
      samples.stackshim.push(timeImport(`${folder}/stackshim-${round}`, archive));
      if (hasDocker) samples.docker.push(await timeDocker(`${folder}/docker-${round}`, archive));
      if (hasPodman) samples.podman.push(timePodman(`${folder}/podman-${round}`, archive));
    }
    return {
      archiveBytes: statSync(archive).size,
      stackshim: summarize(samples.stackshim),
      docker: hasDocker ? summarize(samples.docker) : null,
      podman: hasPodman ? summarize(samples.podman) : null,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const isInstalled = (program: string) => spawnSync('which', [program]).status === 0;

/** In a process of the executable's engine: the library cannot import. */
function timeImport(root: string, archive: string): number {
  const project = new URL('../../', import.meta.url).pathname;
  const architecture = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const bun = `${project}node_modules/@oven/bun-linux-${architecture}/bin/bun`;
  const args = [`${project}bench/time-import.mjs`, root, archive];
  const taken = JSON.parse(execFileSync(bun, args, { encoding: 'utf8' }));
  rmSync(root, { recursive: true });
  return taken;
}

/** With a daemon of its own, whose start is not counted. */
async function timeDocker(folder: string, archive: string): Promise<number> {
  const socket = `unix://${folder}/docker.sock`;
  execFileSync('mkdir', ['-p', folder]);
  const daemon = spawn(
    'dockerd',
    [
      ...['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`],
      ...['--pidfile', `${folder}/pid`, '--host', socket, '--iptables=false', '--bridge=none'],
    ],
    { stdio: 'ignore' },
  );
  try {
    await untilReady(daemon, socket);
    return timeCommand('docker', ['--host', socket, 'load', '--quiet', '--input', archive]);
  } finally {
    const ended = once(daemon, 'exit');
    daemon.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilReady(daemon: ChildProcess, socket: string): Promise<void> {
  const giveUpAt = performance.now() + DOCKER_STARTS_WITHIN_MS;
  while (spawnSync('docker', ['--host', socket, 'version'], { stdio: 'ignore' }).status !== 0) {
    if (daemon.exitCode !== null || performance.now() > giveUpAt) {
      throw new Error('dockerd did not start');
    }
    await delay(100);
  }
}

function timePodman(folder: string, archive: string): number {
  const store = ['--root', `${folder}/root`, '--runroot', `${folder}/run`];
  try {
    return timeCommand('podman', [...store, 'load', '--quiet', '--input', archive]);
  } finally {
    spawnSync('podman', [...store, 'system', 'reset', '--force'], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  }
}

function timeCommand(program: string, args: readonly string[]): number {
  const startedAt = performance.now();
  execFileSync(program, args, { stdio: 'ignore' });
  return performance.now() - startedAt;
}
