/** What several host probes lay out on the host, and the naive programs that they are shown on. */
import { execFileSync, type StdioOptions } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { STRANGER_ID } from '../../support/programs/stranger.ts';
import type { HostProbeScene } from './host-probe.ts';

/** Writes to `$1` as it is. */
export const NAIVE_INTO = 'printf record > "$1"';
/** Writes beside `$1`, then renames. */
export const NAIVE_REPLACE = 'printf record > "$1.new" && mv "$1.new" "$1"';

/** A folder of the scene that root owns, and everybody may write to: `sticky`, as /tmp is. */
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

/** A file of root, with the scene's secret in it. */
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

/** A private key that only root can read, unless `mode` says otherwise. */
export function makeKey(scene: HostProbeScene, mode = 0o600): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const path = `${scene.folder}/key.pem`;
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  chmodSync(path, mode);
  return path;
}

/** Runs lines for /bin/sh with `$1` and so on; how it ends is its own matter. */
export function runNaive(script: string, args: readonly string[]): string {
  try {
    const stdio: StdioOptions = ['ignore', 'pipe', 'ignore'];
    return execFileSync('sh', ['-c', script, 'sh', ...args], { cwd: '/', stdio }).toString();
  } catch (error) {
    if (error instanceof Error && 'stdout' in error) return String(error.stdout);
    throw error;
  }
}
