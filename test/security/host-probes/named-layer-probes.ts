/** Images that name layers which they do not contain: the stored layer of another tenant must not be available by its name. */

import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { startRegistry } from '../../support/images/loopback-registry.ts';
import { sha256 } from '../../support/images/small-oci-layout.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import {
  importShowsSecret,
  type NamedLayer,
  secretTar,
  storeVictim,
  writeDockerArchive,
  writeLayout,
} from '../support/image-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

const GZIP_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const JUNK = makeTar([{ path: 'junk', content: 'nothing of value' }]);

type Claim = (tar: Buffer) => NamedLayer;

const junk: Claim = (tar) => ({ blob: JUNK, diffId: sha256(tar) });
const nothing: Claim = (tar) => ({ blob: undefined, diffId: sha256(tar), size: tar.length });
const packedJunk: Claim = (tar) => ({ ...junk(tar), blob: gzipSync(JUNK), mediaType: GZIP_TYPE });
const falseDigest: Claim = (tar) => ({
  blob: Buffer.alloc(tar.length, 'x'),
  diffId: sha256(tar),
  digest: sha256(tar),
});
const cutShort: Claim = (tar) => ({
  blob: tar.subarray(0, 512),
  diffId: sha256(tar),
  digest: sha256(tar),
  size: tar.length,
});
const noArchive: Claim = (tar) => ({
  blob: Buffer.from('no gzip data at all'),
  diffId: sha256(tar),
  mediaType: GZIP_TYPE,
});

/** Identifies layers by the image's names, and reads a blob only for layers that it does not have. */
function takeByName(scene: HostProbeScene, claim: Claim): Promise<ProbeVerdict> {
  const tar = secretTar(scene);
  const store = new Map([[sha256(tar), tar]]);
  const { diffId, blob } = claim(tar);
  const got = store.get(diffId) ?? blob ?? Buffer.alloc(0);
  return Promise.resolve(toVerdict(got.includes(scene.secret)));
}

const fromLayout = async (scene: HostProbeScene, claim: Claim) => {
  await storeVictim(scene);
  await writeLayout(`${scene.folder}/thief`, [claim(secretTar(scene))]);
  return await importShowsSecret(scene, `oci:${scene.folder}/thief`);
};

const fromArchive = async (scene: HostProbeScene, claim: Claim) => {
  await storeVictim(scene);
  await writeDockerArchive(`${scene.folder}/thief.tar`, [claim(secretTar(scene))]);
  return await importShowsSecret(scene, `docker-archive:${scene.folder}/thief.tar`);
};

const fromRegistry = async (scene: HostProbeScene, claim: Claim) => {
  await storeVictim(scene);
  await writeLayout(`${scene.folder}/thief`, [claim(secretTar(scene))]);
  const registry = await startRegistry(`${scene.folder}/registry`);
  scene.defer(() => registry.close());
  const reference = `docker://${registry.host}/thief:1`;
  const flags = ['--insecure-policy', 'copy', '--dest-tls-verify=false', '--preserve-digests'];
  execFileSync('skopeo', [...flags, `oci:${scene.folder}/thief`, reference], { stdio: 'pipe' });
  return await importShowsSecret(scene, reference, '--tls-verify', 'false');
};

/** The blob is sound, and was accepted for another image before. */
const replayed = async (scene: HostProbeScene, claim: Claim) => {
  const other = gzipSync(makeTar([{ path: 'other', content: scene.secret.slice(0, 9) }]));
  const otherTar = makeTar([{ path: 'other', content: scene.secret.slice(0, 9) }]);
  const own = { blob: other, diffId: sha256(otherTar), mediaType: GZIP_TYPE };
  await writeLayout(`${scene.folder}/first`, [own]);
  await importShowsSecret(scene, `oci:${scene.folder}/first`);
  await storeVictim(scene);
  await writeLayout(`${scene.folder}/thief`, [{ ...own, diffId: claim(secretTar(scene)).diffId }]);
  return await importShowsSecret(scene, `oci:${scene.folder}/thief`);
};

interface ClaimProbe {
  readonly name: string;
  readonly tries: string;
  readonly claim: Claim;
  readonly from?: (scene: HostProbeScene, claim: Claim) => Promise<ProbeVerdict>;
}

const toProbe = ({ name, tries, claim, from = fromLayout }: ClaimProbe): HostProbe => ({
  name: `another’s layer by its name: ${name}`,
  group: 'images and layers',
  tries,
  stoppedBy: 'the blob itself is read and must be that layer',
  shownOn: 'an importer that knows layers by their DiffID',
  attack: (scene) => from(scene, claim),
  proof: (scene) => takeByName(scene, claim),
  timeoutMs: 120_000,
});

export const namedLayerProbes: readonly HostProbe[] = [
  {
    name: 'junk in a layout',
    claim: junk,
    tries: 'imports a layout with the DiffID of a stored layer and another blob',
  },
  {
    name: 'no blob at all',
    claim: nothing,
    tries: 'imports a layout that names digest and DiffID of a stored layer and lacks the blob',
  },
  {
    name: 'a false digest',
    claim: falseDigest,
    tries: 'puts other bytes of the same number below the layer’s own digest',
  },
  { name: 'another size', claim: cutShort, tries: 'puts a few bytes below the layer’s own digest' },
  {
    name: 'a blob of another tar',
    claim: packedJunk,
    tries: 'brings a sound gzip blob that unpacks to another DiffID',
  },
  {
    name: 'a blob that is no archive',
    claim: noArchive,
    tries: 'brings a blob that does not unpack',
  },
  {
    name: 'junk in a docker archive',
    claim: junk,
    from: fromArchive,
    tries: 'the same with what `docker save` writes',
  },
  {
    name: 'junk from a registry',
    claim: packedJunk,
    from: fromRegistry,
    tries: 'the same with a registry, which has a blob of the right digest',
  },
  {
    name: 'a blob known for another layer',
    claim: packedJunk,
    from: replayed,
    tries: 'names a blob that was taken for an image of its own before',
  },
].map(toProbe);
