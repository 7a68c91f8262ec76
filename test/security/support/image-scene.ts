/** Preparations of host probes on images: layouts and archives, sound or unsound, and users who read. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type CliResult, runCli } from '../../support/cli/run-cli.ts';
import {
  type BlobDescriptor,
  CONFIG_TYPE,
  LAYER_TYPE,
  MANIFEST_TYPE,
  sha256,
  toConfig,
  writeBlob,
  writeIndex,
} from '../../support/images/small-oci-layout.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import { buildTar } from '../../support/images/tar-builder.ts';
import { makeBusyboxTar } from '../../support/stacks/busybox-stack.ts';
import type { HostProbeScene } from './host-probe.ts';
import { type ProbeVerdict, toVerdict } from './probe.ts';

/** A stack name that no other probe uses. */
export const stackOf = ({ secret }: HostProbeScene, what: string): string =>
  `${what}-${secret.slice('secret-'.length)}`;

export const cli = (scene: HostProbeScene, ...args: readonly string[]): Promise<CliResult> =>
  runCli(args, { env: scene.installation.env });

/** The output of a shell script that a user of the host runs. */
export function readAs(user: number, script: string, ...args: readonly string[]): string {
  const ids = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const command = [...ids, 'sh', '-c', script, 'sh', ...args];
  return spawnSync('setpriv', command, { cwd: '/', maxBuffer: 1 << 26 }).stdout.toString('latin1');
}

/** The layer of another tenant's image: a file that only root can read. */
export const secretTar = ({ secret }: HostProbeScene): Buffer =>
  makeTar([{ path: 'private', mode: 0o600, content: `${secret}\n` }]);

export interface NamedLayer {
  /** The blob in the layout; undefined if it is missing. */
  readonly blob: Buffer | undefined;
  readonly diffId: string;
  readonly mediaType?: string;
  /** Replaces the blob's own. */
  readonly digest?: string;
  readonly size?: number;
}

export const asNamed = (tar: Buffer): NamedLayer => ({ blob: tar, diffId: sha256(tar) });

/** Changes the text of a document before it is stored. */
export interface LayoutTexts {
  readonly config?: (text: string) => string;
  readonly manifest?: (text: string) => string;
  readonly index?: (text: string) => string;
  readonly marker?: (text: string) => string;
}

const same = (text: string) => text;

/** Writes a layout of these layers on top of busybox. */
export async function writeLayout(
  folder: string,
  layers: readonly NamedLayer[],
  texts: LayoutTexts = {},
): Promise<void> {
  const all = [asNamed(await makeBusyboxTar()), ...layers];
  const sound = toConfig({ layers: [], env: ['PATH=/bin'] });
  const rootfs = { type: 'layers', diff_ids: all.map(({ diffId }) => diffId) };
  const configText = (texts.config ?? same)(JSON.stringify({ ...sound, rootfs }));
  const config = await writeBlob(folder, CONFIG_TYPE, configText);
  const described: BlobDescriptor[] = [];
  for (const layer of all) described.push(await writeLayer(folder, layer));
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: described };
  const manifestText = (texts.manifest ?? same)(JSON.stringify(manifest));
  const entry = await writeBlob(folder, MANIFEST_TYPE, manifestText);
  await writeIndex(folder, entry);
  const index = JSON.stringify({ schemaVersion: 2, manifests: [entry] });
  writeFileSync(`${folder}/index.json`, (texts.index ?? same)(index));
  writeFileSync(`${folder}/oci-layout`, (texts.marker ?? same)('{"imageLayoutVersion":"1.0.0"}'));
}

async function writeLayer(folder: string, layer: NamedLayer): Promise<BlobDescriptor> {
  const mediaType = layer.mediaType ?? LAYER_TYPE;
  const found =
    layer.blob === undefined ? undefined : await writeBlob(folder, mediaType, layer.blob);
  const digest = layer.digest ?? found?.digest ?? layer.diffId;
  if (layer.blob !== undefined && digest !== found?.digest) {
    writeFileSync(`${folder}/blobs/sha256/${digest.slice(7)}`, layer.blob);
  }
  return { mediaType, digest, size: layer.size ?? found?.size ?? 0 };
}

/** Writes an archive like `docker save`, of these layers on top of busybox. */
export async function writeDockerArchive(
  file: string,
  layers: readonly NamedLayer[],
  manifestText: (text: string) => string = same,
): Promise<void> {
  const all = [asNamed(await makeBusyboxTar()), ...layers];
  const rootfs = { type: 'layers', diff_ids: all.map(({ diffId }) => diffId) };
  const config = JSON.stringify({ ...toConfig({ layers: [], env: ['PATH=/bin'] }), rootfs });
  const paths = all.map((_, index) => `${index}/layer.tar`);
  const manifest = JSON.stringify([{ Config: 'config.json', RepoTags: ['x:1'], Layers: paths }]);
  const tar = buildTar(
    { path: 'config.json', content: config },
    { path: 'manifest.json', content: manifestText(manifest) },
    ...all.map(({ blob }, index) => ({
      path: paths[index] ?? '',
      content: blob ?? Buffer.alloc(0),
    })),
  );
  writeFileSync(file, tar);
}

/** Stores the image of another tenant. */
export async function storeVictim(scene: HostProbeScene): Promise<void> {
  await writeLayout(`${scene.folder}/victim`, [asNamed(secretTar(scene))]);
  const reference = `oci:${scene.folder}/victim`;
  const { status, stderr } = await cli(scene, 'stack', 'import', stackOf(scene, 'v'), reference);
  if (status !== 0) throw new Error(stderr);
}

/** Whether a stack that the attacker imported contains the file of the other tenant. */
export async function importShowsSecret(
  scene: HostProbeScene,
  reference: string,
  ...more: readonly string[]
): Promise<ProbeVerdict> {
  const stack = stackOf(scene, 't');
  await cli(scene, 'stack', 'import', stack, reference, ...more);
  const { stdout } = await cli(scene, 'run', stack, 'cat', '/private');
  return toVerdict(stdout.includes(scene.secret));
}

/** Whether the image is accepted. */
export async function importIsTaken(
  scene: HostProbeScene,
  reference: string,
): Promise<ProbeVerdict> {
  const { status } = await cli(scene, 'stack', 'import', stackOf(scene, 't'), reference);
  return toVerdict(status === 0);
}
