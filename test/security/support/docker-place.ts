/** Probes in `docker run` with its defaults, with a daemon of the test. Requires: docker.io and docker-cli. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import type { ProbeImage } from '../../support/programs/probe-image.ts';
import { watchProgram } from '../../support/programs/watched-program.ts';
import { waitUntil } from '../../support/timing/wait-until.ts';
import type { ContainerSetting, PlacedContainer, ProbePlace } from './probe-place.ts';

const IMAGE = 'probes';
const ANSWERS_WITHIN_MS = 10_000;

export interface DockerPlace extends ProbePlace {
  readonly version: string;
  close(): Promise<void>;
}

/** Starts the daemon with all its files below `home`, and imports the image. */
export async function openDockerPlace(home: string, image: ProbeImage): Promise<DockerPlace> {
  mkdirSync(home);
  const docker = ['docker', '--host', `unix://${home}/sock`];
  const folders = ['--data-root', `${home}/data`, '--exec-root', `${home}/exec`];
  const alone = ['--pidfile', `${home}/pid`, '--iptables=false', '--bridge=none'];
  const daemon = spawn('dockerd', [...docker.slice(1), ...folders, ...alone], { stdio: 'ignore' });
  const call = (...args: readonly string[]) =>
    execFileSync('docker', [...docker.slice(1), ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  await waitUntil(() => spawnSync('docker', [...docker.slice(1), 'version']).status === 0);
  call('import', '--change', 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin', image.tar, IMAGE);
  let count = 0;
  return {
    name: 'docker',
    folders: [home],
    version: call('version', '--format', '{{.Server.Version}}'),
    start(setting) {
      count += 1;
      return startContainer(docker, `probe-${count}`, setting);
    },
    close: () => end(daemon),
  };
}

async function end(daemon: ChildProcess): Promise<void> {
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  await ended;
}

function startContainer(
  docker: readonly string[],
  name: string,
  setting: ContainerSetting,
): PlacedContainer {
  const { task } = setting;
  const payload = setting.payload === undefined ? [] : ['-e', 'PAYLOAD'];
  const options = [
    ...['--name', name],
    ...Object.entries(setting.env).flatMap(([key, value]) => ['-e', `${key}=${value}`]),
    ...payload,
    ...(setting.code === undefined ? [] : ['-v', `${setting.code}:/task`]),
    ...setting.binds.flatMap(({ source, target, readOnly }) => [
      '-v',
      `${source}:${target}${readOnly ? ':ro' : ''}`,
    ]),
    ...(task.tmpfs ?? []).flatMap((target) => ['--tmpfs', target]),
    ...(task.user === undefined ? [] : ['-u', String(task.user)]),
    ...(task.workdir === undefined ? [] : ['-w', task.workdir]),
    ...(task.memory === undefined ? [] : ['--memory', task.memory]),
    ...(task.openFiles === undefined
      ? []
      : ['--ulimit', `nofile=${task.openFiles}:${task.openFiles}`]),
    ...(task.terminal ? ['-t'] : []),
    ...(task.device === undefined ? [] : ['--device', `${task.device}:${task.device}:r`]),
    ...(task.fuse ? ['--device', '/dev/fuse', '--cap-add', 'SYS_ADMIN'] : []),
  ];
  const program = watchProgram([...docker, 'run', ...options, IMAGE, ...setting.command], {
    // Only by name: every user can read command lines.
    env: { ...setting.callerEnv, ...(setting.payload && { PAYLOAD: setting.payload }) },
  });
  // The daemon does not answer while it waits for the output of an ended container: then nothing is known about the container.
  const inspect = (format: string) =>
    spawnSync('docker', [...docker.slice(1), 'inspect', '--format', format, name], {
      encoding: 'utf8',
      timeout: ANSWERS_WITHIN_MS,
    }).stdout.trim();
  return {
    program,
    findPid: async () => Number(inspect('{{.State.Pid}}')),
    writtenTo: async () => inspect('{{.GraphDriver.Data.UpperDir}}'),
    async stop() {
      spawnSync('docker', [...docker.slice(1), 'rm', '--force', name], { stdio: 'pipe' });
      await program.ended;
    },
  };
}
