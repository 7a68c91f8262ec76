/** Processes that their own filesystem holds up: the effect on a careless keeper, and how they are released. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { scaled } from '../../support/timing/time-scale.ts';

/** Time limit of a probe: kills may take some seconds. */
export const KILLED_MS = scaled(60_000);
const WAITED_MS = 1_000;

/** Whether a /proc entry can be read in reasonable time. A reader that is held up ends with the filesystem. */
export function gets(path: string): boolean {
  const within = (...command: readonly string[]) =>
    spawnSync('timeout', ['-s', 'KILL', '1', ...command], { stdio: 'ignore' }).signal === null;
  return within('stat', '-L', path) && within('cat', path);
}

/** Kills a process, and returns whether it still runs a second later. */
export async function outlivesKill(pid: number): Promise<boolean> {
  process.kill(pid, 'SIGKILL');
  const endsAt = performance.now() + WAITED_MS;
  while (performance.now() < endsAt && existsSync(`/proc/${pid}`)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return existsSync(`/proc/${pid}`);
}

/**
 * Aborts FUSE filesystems of this host: those of root, which probes in open containers serve, or those of anybody. In its own mount
 * namespace, because the control filesystem need not be mounted on the host.
 */
export function releaseTraps(owner: 'root' | 'anybody' = 'root'): void {
  const isOwned = owner === 'root' ? '[ "$(stat -c %u $each)" = 0 ]' : 'true';
  const script = [
    'mount -t fusectl none /sys/fs/fuse/connections',
    'cd /sys/fs/fuse/connections',
    `for each in *; do ${isOwned} && echo 1 > $each/abort; done`,
    'true',
  ].join('; ');
  execFileSync('unshare', ['-m', 'sh', '-c', script], { stdio: 'ignore' });
}
