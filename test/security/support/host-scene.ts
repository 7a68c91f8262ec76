/** Preparations of several host probes, and the programs without protection on which they are proved. */
import { execFileSync, type StdioOptions } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import type { HostProbeScene } from './host-probe.ts';

/** Writes to `$1` directly. */
export const NAIVE_INTO = 'printf record > "$1"';
/** Writes to a file beside `$1`, then renames it. */
export const NAIVE_REPLACE = 'printf record > "$1.new" && mv "$1.new" "$1"';

/** A folder of the scene that root owns and everybody may write to: `sticky`, like /tmp. */
export function makeOpenFolder(scene: HostProbeScene, name: string, mode = 0o1777): string {
  const path = `${scene.folder}/${name}`;
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

/** A folder of the attacker. */
export function makeForeignFolder(scene: HostProbeScene, name: string): string {
  const path = makeOpenFolder(scene, name, 0o755);
  chownSync(path, STRANGER_ID, STRANGER_ID);
  return path;
}

/** A file of root that contains the scene's secret. */
export function makeVictim(scene: HostProbeScene, name = 'victim'): string {
  const path = `${scene.folder}/${name}`;
  writeFileSync(path, scene.secret, { mode: 0o600 });
  return path;
}

/** A link of the attacker. */
export function plantLink(target: string, path: string): void {
  symlinkSync(target, path);
  lchownSync(path, STRANGER_ID, STRANGER_ID);
}

/** A private key that only root can read, unless `mode` is given. */
export function makeKey(scene: HostProbeScene, mode = 0o600): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const path = `${scene.folder}/key.pem`;
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  chmodSync(path, mode);
  return path;
}

/** Runs a shell script with `$1` and so on; its exit status is ignored. */
export function runNaive(script: string, args: readonly string[]): string {
  try {
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    return execFileSync('sh', ['-c', script, 'sh', ...args], { cwd: '/', stdio }).toString();
  } catch (error) {
    if (error instanceof Error && 'stdout' in error) return String(error.stdout);
    throw error;
  }
}
