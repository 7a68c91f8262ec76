/** A busybox root filesystem, bundles, and the runtimes of this machine, for tests with a real OCI runtime. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { openCgroupDriver } from '../../../src/cgroup/open-cgroup-driver.ts';
import { beginContainer, removeRuntimeState } from '../../../src/runtime/drive-container.ts';
import type { CreatedContainer, Runtime, RuntimeKind } from '../../../src/runtime/runtime.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { readProcess } from '../../../src/sys/processes.ts';
import { openNullDevice } from '../../../src/sys/start-program.ts';
import type { ProcessExit } from '../../../src/sys/system.ts';

export interface RuntimeUnderTest {
  readonly name: string;
  readonly kind: RuntimeKind;
  readonly path: string;
}

const distributionRunc = '/usr/sbin/runc';
const installedCrun = '/usr/bin/crun';
const patchedRunc = `${process.env['STACKSHIM_ROOT'] ?? '/var/lib/stackshim'}/runtimes/runc`;

/** crun refuses hybrid hosts; in its own mount namespace without the cgroup2 hierarchy it works. */
const crunWrapper = `#!/bin/sh
exec unshare -m --propagation private sh -c 'umount /sys/fs/cgroup/unified; exec ${installedCrun} "$@"' crun "$@"
`;

/** The libc of Debian 12, a tested guest, is too old for it. */
const hasPatchedRunc =
  process.env['STACKSHIM_TEST_VM'] === undefined ||
  !/^VERSION_CODENAME=bookworm$/m.test(readFileSync('/etc/os-release', 'utf8'));

/** All runtimes that every configuration must work with; `folder` gets a wrapper script. A missing runtime is a failure. */
export function runtimesUnderTest(folder: string): readonly RuntimeUnderTest[] {
  requireProgram(distributionRunc);
  if (hasPatchedRunc) requireProgram(patchedRunc);
  requireProgram(installedCrun);
  const crun = existsSync('/sys/fs/cgroup/unified') ? `${folder}/crun` : installedCrun;
  if (crun !== installedCrun) writeScript(crun, crunWrapper);
  const patched = { name: 'the patched runc', kind: 'runc', path: patchedRunc } as const;
  return [
    { name: 'the distribution’s runc', kind: 'runc', path: distributionRunc },
    ...(hasPatchedRunc ? [patched] : []),
    { name: 'crun', kind: 'crun', path: crun },
  ];
}

function requireProgram(path: string): void {
  if (!existsSync(path)) throw new Error(`${path} is missing: npm run setup -- --tests brings it`);
}

export function writeScript(path: string, text: string): void {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

/** A folder that the mapped root of a container can pass through. */
export function makeFolder(): string {
  const folder = mkdtempSync('/var/tmp/stackshim-runtime-');
  chmodSync(folder, 0o711);
  return folder;
}

/** The first host id of the containers in these tests. */
const MAPPED_BASE = 1_879_048_192 + 65_536 * 4_090;

/** A root filesystem of busybox-static, with commands in /x that cannot be executed for one reason each. */
function makeRootfs(folder: string): string {
  const rootfs = `${folder}/rootfs`;
  for (const name of ['bin', 'proc', 'dev', 'x/dir']) {
    mkdirSync(`${rootfs}/${name}`, { recursive: true });
  }
  copyFileSync('/bin/busybox', `${rootfs}/bin/busybox`);
  chmodSync(`${rootfs}/bin/busybox`, 0o755);
  for (const applet of ['sh', 'true', 'sleep', 'echo']) {
    symlinkSync('busybox', `${rootfs}/bin/${applet}`);
  }
  symlinkSync('loop', `${rootfs}/x/loop`);
  writeFileSync(`${rootfs}/x/plain`, 'text\n', { mode: 0o644 });
  writeScript(`${rootfs}/x/bad-interpreter`, '#!/nowhere/sh\n');
  writeScript(`${rootfs}/x/no-first-line`, 'echo hello\n');
  writeScript(`${rootfs}/x/bad-elf`, '\x7fELF\x02\x01\x01 and no more');
  writeScript(`${rootfs}/x/empty`, '');
  return rootfs;
}

const namespaces = ['pid', 'mount', 'ipc', 'uts', 'network', 'cgroup', 'user'];
const idMapping = [{ containerID: 0, hostID: MAPPED_BASE, size: 65_536 }];
const noCapabilities = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };

export interface BundleOptions {
  readonly rootfs: string;
  readonly cgroupsPath: string;
  readonly args: readonly string[];
  readonly cwd?: string;
}

function toConfig({ rootfs, cgroupsPath, args, cwd = '/' }: BundleOptions): object {
  const tmpfs = { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] };
  return {
    ociVersion: '1.0.2',
    root: { path: rootfs },
    hostname: 'test',
    process: {
      args,
      cwd,
      env: ['PATH=/bin'],
      user: { uid: 0, gid: 0 },
      noNewPrivileges: true,
      capabilities: noCapabilities,
    },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, tmpfs],
    linux: {
      cgroupsPath,
      resources: { memory: { limit: 67_108_864 }, pids: { limit: 64 } },
      uidMappings: idMapping,
      gidMappings: idMapping,
      namespaces: namespaces.map((type) => ({ type })),
    },
  };
}

export interface Container {
  readonly init: CreatedContainer;
  readonly hasEnded: () => boolean;
  /** Waits for the init process to end; returns its exit, and whether it had become the command. */
  end(): Promise<ProcessExit & { readonly executed: boolean }>;
  stdout(): string;
  stderr(): string;
}

/** Containers of one runtime; `remove` removes everything and fails if something is left. */
export class RuntimeLab {
  readonly folder = makeFolder();
  readonly cgroupParent = `/stackshim-test-${randomBytes(4).toString('hex')}`;
  readonly stateRoot = `${this.folder}/state`;
  readonly rootfs: string;
  readonly #ids = new Set<string>();
  readonly #pidfds = new Map<string, number>();

  constructor() {
    linuxSystem.becomeSubreaper();
    this.rootfs = makeRootfs(this.folder);
    mkdirSync(this.stateRoot);
  }

  reference(id: string) {
    return { id, stateRoot: this.stateRoot };
  }

  logFile(id: string): string {
    return `${this.folder}/${id}.log`;
  }

  bundle(id: string): string {
    return `${this.folder}/${id}`;
  }

  config(id: string, args: readonly string[], cwd?: string): string {
    const cgroupsPath = `${this.cgroupParent}/${id}`;
    const options = { rootfs: this.rootfs, cgroupsPath, args };
    return JSON.stringify(toConfig(cwd === undefined ? options : { ...options, cwd }));
  }

  /** Adopts a container that another program created. */
  adopt(id: string, init: CreatedContainer): void {
    this.#ids.add(id);
    this.#pidfds.set(id, linuxSystem.openPidfd(init.pid));
  }

  async create(
    runtime: Runtime,
    id: string,
    command: { readonly args: readonly string[]; readonly cwd?: string },
  ): Promise<Container> {
    this.#ids.add(id);
    // From an earlier container with that id.
    rmSync(this.bundle(id), { recursive: true, force: true });
    const [stdout, stderr] = [`${this.folder}/${id}.out`, `${this.folder}/${id}.err`];
    const [out, err] = [openSync(stdout, 'w'), openSync(stderr, 'w')];
    const input = openNullDevice('input');
    try {
      const creation = beginContainer(linuxSystem, runtime, {
        ...this.reference(id),
        bundle: this.bundle(id),
        logFile: this.logFile(id),
        pidFile: `${this.folder}/${id}.pid`,
        stdio: [input, out, err],
      });
      const init = await creation.finish(this.config(id, command.args, command.cwd));
      const pidfd = linuxSystem.openPidfd(init.pid);
      this.#pidfds.set(id, pidfd);
      return {
        init,
        hasEnded: () => linuxSystem.hasEnded(pidfd),
        end: () => this.#end(id, init.pid, pidfd),
        stdout: () => readFileSync(stdout, 'utf8'),
        stderr: () => readFileSync(stderr, 'utf8'),
      };
    } finally {
      closeSync(input);
      closeSync(out);
      closeSync(err);
    }
  }

  async #end(id: string, pid: number, pidfd: number) {
    await this.#exitOf(pidfd);
    // Ended, but not yet waited for: only now is its final program known.
    const executed = readProcess(pid)?.executed;
    const exit = linuxSystem.waitPidfd(pidfd);
    linuxSystem.close(pidfd);
    this.#pidfds.delete(id);
    if (executed === undefined || exit === undefined) throw new Error(`init ${pid} went unseen`);
    return { ...exit, executed };
  }

  async #exitOf(pidfd: number): Promise<void> {
    const epoll = linuxSystem.createEpoll();
    linuxSystem.addToEpoll(epoll, pidfd);
    while (linuxSystem.pollEpoll(epoll, 1).length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    linuxSystem.close(epoll);
  }

  /** Ends running processes, removes what was created, and returns what is left. */
  async remove(runtime: Runtime): Promise<readonly string[]> {
    const driver = openCgroupDriver();
    for (const pidfd of this.#pidfds.values()) {
      linuxSystem.signalPidfd(pidfd, 9);
      await this.#exitOf(pidfd);
      linuxSystem.waitPidfd(pidfd);
      linuxSystem.close(pidfd);
    }
    this.#pidfds.clear();
    const leftovers: string[] = [];
    for (const id of this.#ids) {
      await removeRuntimeState(runtime, this.reference(id), { logFile: this.logFile(id) });
      leftovers.push(...(await driver.remove(`${this.cgroupParent}/${id}`)));
    }
    this.#ids.clear();
    return [
      ...leftovers,
      ...(await driver.remove(this.cgroupParent)),
      ...readdirSync(this.stateRoot),
    ];
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
