/** The kernel port against the real kernel, on Node's FFI. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isRefusedMode } from '../../src/rootfs/mount-overlay.ts';
import { ExitWatcher } from '../../src/sys/exit-watcher.ts';
import { linuxSystem as system } from '../../src/sys/linux-system.ts';
import { takeFileLock } from '../../src/sys/lock.ts';
import { drainPipe } from '../../src/sys/pipes.ts';
import { createUserNamespace, openPinnedUserNamespace } from '../../src/sys/user-namespace.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-sys-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An orphan that this process inherits as a subreaper; runs `script` once it is released. */
async function startOrphan(script: string): Promise<{ pid: number; release: () => void }> {
  system.becomeSubreaper();
  const [readEnd, writeEnd] = system.createPipe();
  const [gateRead, gateWrite] = system.createPipe();
  const parent = spawn('sh', ['-c', 'sh -c "read -r _ <&3; $0" >&- & echo $!', script], {
    stdio: ['ignore', writeEnd, 'inherit', gateRead],
  });
  closeSync(writeEnd);
  closeSync(gateRead);
  let text = '';
  const drain = drainPipe(readEnd, (chunk) => {
    text += Buffer.from(chunk).toString();
  });
  await Promise.all([once(parent, 'exit'), drain.ended]);
  return { pid: Number(text), release: () => closeSync(gateWrite) };
}

describe('exits of orphans', () => {
  it('have the exit code of each of many orphans', async () => {
    const watcher = new ExitWatcher(system);
    const codes = Array.from({ length: 24 }, (_, index) => index + 1);
    const exits = await Promise.all(
      codes.map(async (code) => {
        const orphan = await startOrphan(`exit ${code}`);
        const pidfd = system.openPidfd(orphan.pid);
        orphan.release();
        const exit = await watcher.wait(pidfd);
        system.close(pidfd);
        return exit;
      }),
    );
    expect(exits).toEqual(codes.map((exitCode) => ({ exitCode, signal: null })));
  });

  it('have the signal that ended an orphan', async () => {
    const orphan = await startOrphan('true');
    const pidfd = system.openPidfd(orphan.pid);
    const exit = new ExitWatcher(system).wait(pidfd);
    expect(system.signalPidfd(pidfd, 9)).toBe(true);
    expect(await exit).toEqual({ exitCode: null, signal: 9 });
    expect(system.signalPidfd(pidfd, 9)).toBe(false);
    orphan.release();
    system.close(pidfd);
  });

  it('are not taken from child_process', async () => {
    const watcher = new ExitWatcher(system);
    const orphan = await startOrphan('true');
    const pidfd = system.openPidfd(orphan.pid);
    const exit = watcher.wait(pidfd);
    const owned = Array.from({ length: 20 }, () => once(spawn('sh', ['-c', 'exit 3']), 'exit'));
    expect((await Promise.all(owned)).map(([code]) => code)).toEqual(Array(20).fill(3));
    system.signalPidfd(pidfd, 9);
    await exit;
    orphan.release();
    system.close(pidfd);
  });
});

describe('user namespaces', () => {
  it('pins a mapping that outlives the process that made it', async () => {
    const path = join(folder, 'userns');
    expect(openPinnedUserNamespace(path)).toBeUndefined();
    const fd = await createUserNamespace(system, { base: 1_879_048_192, size: 65_536 }, path);
    system.close(fd);
    const again = openPinnedUserNamespace(path);
    expect(again).toBeTypeOf('number');
    if (again !== undefined) system.close(again);
    expect(system.detachMount(path)).toBe(true);
    expect(system.detachMount(path)).toBe(false);
    expect(openPinnedUserNamespace(path)).toBeUndefined();
  });
});

describe('mounts', () => {
  it('make an overlay of detached lower layers and attach only the result, or report that the kernel cannot', () => {
    const before = readFileSync('/proc/self/mountinfo', 'utf8');
    const sub = (name: string) => join(folder, name);
    for (const name of ['low', 'up', 'work', 'target']) mkdirSync(sub(name));
    writeFileSync(join(folder, 'low/file'), 'from below');
    const lower = system.openTreeClone(sub('low'));
    const context = system.fsOpen('overlay');
    try {
      system.fsConfigFd(context, 'lowerdir+', lower);
      system.fsConfigString(context, 'upperdir', sub('up'));
      system.fsConfigString(context, 'workdir', sub('work'));
      system.fsConfigCreate(context);
    } catch (error) {
      // Before about Linux 6.15 a task's overlay is made another way.
      expect(isRefusedMode(error, 'detached')).toBe(true);
      for (const fd of [lower, context]) system.close(fd);
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
      return;
    }
    const mount = system.fsMount(context, 0);
    system.attachMount(mount, sub('target'));
    for (const fd of [lower, context, mount]) system.close(fd);
    expect(readFileSync(join(folder, 'target/file'), 'utf8')).toBe('from below');
    expect(statfsSync(sub('target')).type).toBe(0x794c7630);
    expect(system.detachMount(sub('target'))).toBe(true);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
  });

  it('clone no tree through a link', () => {
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    system.close(system.openRealTreeClone(join(folder, 'real')));
    expect(() => system.openRealTreeClone(join(folder, 'link'))).toThrow(
      expect.objectContaining({ code: 'ELOOP' }),
    );
  });

  it('fail with the call, the subject and the errno', () => {
    expect(() => system.openTreeClone('/nowhere')).toThrow(
      expect.objectContaining({
        syscall: 'open_tree',
        code: 'ENOENT',
        message: 'open_tree /nowhere: ENOENT',
      }),
    );
  });

  it('fail with the kernel’s reason for refusing an option', () => {
    // A filesystem that never falls back to mount(2), as the overlay does on older kernels.
    const context = system.fsOpen('tmpfs');
    expect(() => system.fsConfigString(context, 'nonsense', '1')).toThrow(
      expect.objectContaining({ code: 'EINVAL' }),
    );
    expect(system.fsContextLog(context)).toContain('nonsense');
    system.close(context);
  });
});

describe('files', () => {
  it('can be locked by one holder at a time', () => {
    const path = join(folder, 'lock');
    const lock = takeFileLock(system, path, { wait: false });
    expect(takeFileLock(system, path, { wait: false })).toBeUndefined();
    lock?.release();
    const next = takeFileLock(system, path, { wait: false });
    expect(next).toBeDefined();
    // It may have the same number as the first descriptor.
    lock?.release();
    expect(takeFileLock(system, path, { wait: false })).toBeUndefined();
    next?.release();
  });

  it('are opened through links only beneath the given root', () => {
    writeFileSync(join(folder, 'inside'), 'mine');
    mkdirSync(join(folder, 'etc'));
    const root = openSync(folder, 'r');
    const fd = system.openInRoot(root, '/../../inside');
    expect(readFileSync(fd, 'utf8')).toBe('mine');
    system.close(fd);
    expect(() => system.openInRoot(root, '/etc/passwd')).toThrow(
      expect.objectContaining({ code: 'ENOENT' }),
    );
    system.close(root);
  });

  it('are opened without waiting for the writer of a named pipe', () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    const root = openSync(folder, 'r');
    const fd = system.openInRoot(root, 'pipe');
    expect(readFileSync(fd, 'utf8')).toBe('');
    system.close(fd);
    system.close(root);
  });
});
