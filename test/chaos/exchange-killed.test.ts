/** Killed imports and loads: all of their programs end, stacks do not change, and the next command cleans up. */
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { trustedKeysDir } from '../../src/core/layout.ts';
import { listHeldLayers } from '../../src/exchange/saves/load-stacks.ts';
import { runCli, STACKSHIM, startCli } from '../support/cli/run-cli.ts';
import { startLiar } from '../support/images/loopback-registry.ts';
import {
  CONFIG_TYPE,
  MANIFEST_TYPE,
  sha256,
  toConfig,
  writeSmallOciLayout,
} from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import { linkPatchedRunc } from '../support/installation/patched-runc.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';
import { waitUntil } from '../support/timing/wait-until.ts';

const lab = useExchangeLab();
const { layout, env } = lab.installation;
const temporary = () => readdirSync(`${layout.root}/tmp`);

describe('an import that is killed', () => {
  it('ends skopeo as well, and leaves nothing that the next command does not clear', async () => {
    const before = lab.state();
    const layer = Buffer.alloc(1 << 20, 'x');
    const config = JSON.stringify(toConfig({ layers: [layer] }));
    const describeBlob = (mediaType: string, bytes: Buffer | string) => ({
      mediaType,
      digest: sha256(bytes),
      size: Buffer.byteLength(bytes),
    });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: describeBlob(CONFIG_TYPE, config),
      layers: [describeBlob('application/vnd.oci.image.layer.v1.tar', layer)],
    });
    let asked = false;
    let hungUp = false;
    const registry = await startLiar((request, response) => {
      const url = request.url ?? '';
      if (url.includes('/manifests/')) {
        response.writeHead(200, { 'content-type': MANIFEST_TYPE }).end(manifest);
      } else if (url.endsWith(sha256(layer))) {
        asked = true;
        response.once('close', () => {
          hungUp = true;
        });
        response.writeHead(200, { 'content-length': layer.length }).write(layer.subarray(0, 1000));
      } else response.end(url.includes('/blobs/') ? config : '{}');
    });
    try {
      const reference = `docker://${registry.host}/thing:1`;
      const args = ['stack', 'import', 'busybox', reference, '--tls-verify', 'false'];
      const { child, ended } = startCli(args, { env });
      await waitUntil(() => asked);
      expect(temporary()).not.toEqual([]);
      child.kill('SIGKILL');
      await ended;
      await waitUntil(() => hungUp);
    } finally {
      await registry.close();
    }
    expect(temporary()).not.toEqual([]);
    expect(await runCli(['gc'], { env })).toMatchObject({ status: 0 });
    expect(lab.state()).toEqual(before);
    await lab.export('busybox', 'after.tar');
  });
});

describe('a load that is killed', () => {
  it('keeps the layers that it stored, and the next load continues from them', async () => {
    await lab.export('busybox', 'busybox.tar');
    const file = `${lab.folder}/busybox.tar`;
    const [{ Layers }] = JSON.parse(
      execFileSync('tar', ['-xOf', file, 'manifest.json']).toString(),
    );
    const lower = execFileSync('tar', ['-xOf', file, Layers[0]], { maxBuffer: 1 << 28 });
    const directory = `${lab.folder}/second`;
    mkdirSync(directory);
    const upper = makeTar([{ path: 'noise', content: Buffer.from(sha256('noise').repeat(3000)) }]);
    await writeSmallOciLayout(directory, { layers: [lower, upper] });
    await lab.import('second', `oci:${directory}`);
    const [first = '', second = ''] = lab.layersOf('second');
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(`${lab.folder}/key.pem`, pem, { mode: 0o600 });
    const saving = ['save', `${lab.folder}/saved`, 'second', '--key', `${lab.folder}/key.pem`];
    expect(await runCli(saving, { env })).toMatchObject({ status: 0 });
    const saved = readFileSync(`${lab.folder}/saved`);

    const other = { ...layout, root: `${lab.folder}/other/lib`, run: `${lab.folder}/other/run` };
    mkdirSync(trustedKeysDir(other), { recursive: true });
    for (const path of [lab.folder, `${lab.folder}/other`]) chmodSync(path, 0o711);
    linkPatchedRunc(other);
    writeFileSync(
      `${trustedKeysDir(other)}/operator.pem`,
      publicKey.export({ type: 'spki', format: 'pem' }),
    );
    const there = { ...process.env, STACKSHIM_ROOT: other.root, STACKSHIM_RUN: other.run };
    const child = spawn(STACKSHIM, ['load', '-'], {
      env: there,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.on('error', () => undefined);
    // Everything but the end of the second layer: load waits for it after storing the first layer.
    child.stdin.write(saved.subarray(0, -4096));
    await waitUntil(() => readdirSafe(`${other.root}/layers`).includes(`${first}.json`));
    await waitUntil(() => readdirSafe(`${other.root}/tmp`).length > 0);
    child.kill('SIGKILL');
    await once(child, 'exit');

    expect(listHeldLayers(other)).toEqual([first]);
    expect(readdirSafe(`${other.root}/stacks`)).toEqual([]);
    const again = await runCli(['load', `${lab.folder}/saved`, '--json'], {
      env: there as Record<string, string>,
    });
    expect(again.status).toBe(0);
    expect(JSON.parse(again.stdout).layers).toEqual([second]);
    expect([...listHeldLayers(other)].sort()).toEqual([first, second].sort());
    expect(readdirSafe(`${other.root}/tmp`)).toEqual([]);
    disposeInstallation(other);
  });
});

function readdirSafe(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
