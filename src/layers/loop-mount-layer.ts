/** Mounts an EROFS file through a loop device, for kernels that take EROFS from block devices alone. */
import { spawnSync } from 'node:child_process';
import { StackshimError } from '../core/errors.ts';
import { findProgram } from './find-program.ts';

/**
 * Attaches the file read-only at `target`, an empty folder. The loop device goes with the mount. Blocks.
 * Throws ERR_STACKSHIM_LAYER_CORRUPT when `mount` refuses, ERR_STACKSHIM_TOOL_MISSING.
 */
export function loopMountLayer(path: string, target: string): void {
  const mount = findProgram('mount', { package: 'mount', path: process.env['PATH'] });
  const args = ['-t', 'erofs', '-o', 'loop,ro,nosuid,nodev', '--', path, target];
  const { status, error, stderr } = spawnSync(mount, args, {
    env: { LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (error !== undefined) {
    throw new StackshimError('ERR_STACKSHIM_SYSTEM', `mount ${path}: ${error.message}`, {
      cause: error,
    });
  }
  if (status === 0) return;
  // Its further lines name other places to look.
  const [reason = ''] = stderr.split('\n', 1);
  throw new StackshimError(
    'ERR_STACKSHIM_LAYER_CORRUPT',
    `mount ${path} on a loop device: ${reason}`,
    { details: { path, target, status, stderr: stderr.slice(0, 4096) } },
  );
}
