/** Runs one attack in a folder of its own. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import type { TestInstallation } from '../../support/installation/installation.ts';
import type { HostProbe, HostProbeScene } from './host-probe.ts';
import type { ProbeVerdict } from './probe.ts';
import { removeHard } from './remove-hard.ts';

export async function runHostProbe(
  probe: HostProbe,
  what: 'attack' | 'proof',
  installation: TestInstallation,
): Promise<ProbeVerdict> {
  const undo: (() => void | Promise<void>)[] = [];
  const scene: HostProbeScene = {
    folder: mkdtempSync('/var/tmp/stackshim-scene-'),
    secret: `secret-${randomBytes(8).toString('hex')}`,
    installation,
    defer: (step) => void undo.push(step),
  };
  chmodSync(scene.folder, 0o755);
  try {
    return await probe[what](scene);
  } finally {
    for (const step of undo.toReversed()) await step();
    removeHard(scene.folder);
  }
}
