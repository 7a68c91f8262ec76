/** The places in which probes run, for a test file: opened before its tests, closed after them. */
import { chmodSync, mkdtempSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import { useInstallation } from '../../support/installation/installation.ts';
import { makeProbeImage, type ProbeImage } from '../../support/programs/probe-image.ts';
import { type DockerPlace, openDockerPlace } from './docker-place.ts';
import { openOpenPlace } from './open-place.ts';
import type { PlaceName, Probe, ProbeVerdict } from './probe.ts';
import type { ProbePlace } from './probe-place.ts';
import { removeHard } from './remove-hard.ts';
import { runProbe } from './run-probe.ts';
import { openStackshimPlace } from './stackshim-place.ts';

export interface Battery {
  run(probe: Probe, place: PlaceName): Promise<ProbeVerdict>;
  dockerVersion(): string;
}

/** Options for vitest. */
export const optionsOf = ({ timeoutMs }: Probe): { readonly timeout?: number } =>
  timeoutMs === undefined ? {} : { timeout: timeoutMs };

/** Registers the hooks of a file; every test in it is checked for leaks. */
export function useBattery({ docker = false }: { readonly docker?: boolean } = {}): Battery {
  const installation = useInstallation();
  const folder = mkdtempSync('/var/tmp/stackshim-battery-');
  chmodSync(folder, 0o755);
  const places = new Map<PlaceName, ProbePlace>();
  let image: ProbeImage | undefined;
  let daemon: DockerPlace | undefined;
  beforeAll(async () => {
    image = await makeProbeImage(folder);
    places.set('stackshim', await openStackshimPlace(installation, image));
    places.set('open', openOpenPlace(folder, image));
    if (!docker) return;
    daemon = await openDockerPlace(`${folder}/docker`, image);
    places.set('docker', daemon);
  });
  afterAll(async () => {
    await daemon?.close();
    removeHard(folder);
  });
  return {
    async run(probe, name) {
      const place = places.get(name);
      if (place === undefined || image === undefined) throw new Error(`no place ${name}`);
      return await runProbe(probe, place, image);
    },
    dockerVersion: () => daemon?.version ?? '',
  };
}
