/** Processes that a filesystem of their own holds up: how a keeper without care fares with them, and how they are let go. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { scaled } from '../../support/timing/time-scale.ts';

/** For a probe: kills may take some seconds. */
export const KILLED_MS = scaled(60_000);
const WAITED_MS = 1_000;

/** Whether something in /proc can be read, or looked at, in moderate time. A reader that is held up ends with what holds it up. */
export function gets(path: string): boolean {
  const within = (...command: readonly string[]) =>
    spawnSync('timeout', ['-s', 'KILL', '1', ...command], { stdio: 'ignore' }).signal === null;
  return within('stat', '-L', path) && within('cat', path);
}

/** Kills a process, and tells whether it is there a second later. */
export async function outlivesKill(pid: number): Promise<boolean> {
  process.kill(pid, 'SIGKILL');
  const endsAt = performance.now() + WAITED_MS;
  while (performance.now() < endsAt && existsSync(`/proc/${pid}`)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return existsSync(`/proc/${pid}`);
}

/**
 * Ends the filesystems `trap` of root's on this host: those of probes in open containers. In a mount namespace of its own, since the
 * control filesystem need not be mounted in the host's.
 */
export function releaseTraps(): void {
  const script = [
    'mount -t fusectl none /sys/fs/fuse/connections',
    'cd /sys/fs/fuse/connections',
    'for each in *; do [ "$(stat -c %u $each)" = 0 ] && echo 1 > $each/abort; done',
    'true',
  ].join('; ');
  execFileSync('unshare', ['-m', 'sh', '-c', script], { stdio: 'ignore' });
}
