/** Other tools load and run exported images. The large tools are tested only in full runs. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { isFullRun } from '../support/timing/full-run.ts';

const lab = useExchangeLab();
const archive = `${lab.folder}/export.tar`;
const IMAGE = 'localhost/busybox:rev-1';

beforeAll(async () => {
  await lab.export('busybox', 'export.tar');
});

const call = (program: string, args: readonly string[]) =>
  execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });

describe('skopeo', () => {
  it.each(['oci-archive', 'docker-archive'])('copies an exported image as %s', (kind) => {
    const target = `${lab.folder}/${kind}`;
    call('skopeo', ['--insecure-policy', 'copy', `${kind}:${archive}:${IMAGE}`, `dir:${target}`]);
    const { config } = JSON.parse(call('skopeo', ['inspect', '--config', `dir:${target}`]));
    expect(config).toMatchObject({ Cmd: ['/bin/sh'], WorkingDir: '/' });
  });
});

const RUN = ['run', '--rm', '--network', 'none', IMAGE, 'sh', '-c', 'echo hello; id -u user'];

if (isFullRun) {
  describe('podman', () => {
    const store = [
      ...['--root', `${lab.folder}/podman`, '--runroot', `${lab.folder}/podman-run`],
      ...['--runtime', 'runc', '--cgroup-manager', 'cgroupfs'],
    ];
    afterAll(() => {
      spawnSync('podman', [...store, 'system', 'reset', '--force'], { stdio: 'ignore' });
    });

    it('loads and runs an exported image', () => {
      expect(call('podman', [...store, 'load', '--input', archive])).toContain(IMAGE);
      expect(call('podman', [...store, ...RUN])).toBe('hello\n1000\n');
    });
  });

  describe('docker', () => {
    const home = `${lab.folder}/docker`;
    const client = ['--host', `unix://${home}/sock`];
    let daemon: ChildProcess;
    beforeAll(async () => {
      mkdirSync(home);
      const folders = ['--data-root', `${home}/data`, '--exec-root', `${home}/exec`];
      const alone = ['--pidfile', `${home}/pid`, '--iptables=false', '--bridge=none'];
      daemon = spawn('dockerd', [...client, ...folders, ...alone], { stdio: 'ignore' });
      const isReady = () => spawnSync('docker', [...client, 'version']).status === 0;
      await vi.waitUntil(isReady, { timeout: 30_000, interval: 100 });
    });
    afterAll(async () => {
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await ended;
    });

    it('loads and runs an exported image, and exports it again', async () => {
      expect(call('docker', [...client, 'load', '--input', archive])).toContain(IMAGE);
      expect(call('docker', [...client, ...RUN])).toBe('hello\n1000\n');
      const saved = `${lab.folder}/saved.tar`;
      call('docker', [...client, 'save', '--output', saved, IMAGE]);
      await lab.import('from-docker', `docker-archive:${saved}`);
      expect(lab.layersOf('from-docker')).toEqual(lab.layersOf('busybox'));
      // What a path is shows by its content.
      await lab.import('looked', saved);
      expect(lab.layersOf('looked')).toEqual(lab.layersOf('busybox'));
    });

    it('exports a container, whose root filesystem is imported', async () => {
      const id = call('docker', [
        ...client,
        ...['create', '--network', 'none', IMAGE, 'sh', '-c', 'true'],
      ]).trim();
      const exported = `${lab.folder}/exported.tar`;
      call('docker', [...client, 'export', '--output', exported, id]);
      await lab.import('exported', exported, { settings: { cmd: 'echo hello; id -u user' } });
      expect((await lab.run('exported', [])).output.stdout).toBe('hello\n1000\n');
      expect((await lab.run('exported', ['ls', '-A', '/'])).output.stdout).not.toContain('.docker');
    });
  });
}
