/** Image documents that two parsers read differently, and downloads that are larger than announced. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { withinBytes } from '../../../src/exchange/registry/bound-folder.ts';
import { measureTree } from '../../../src/sys/measure-tree.ts';
import { startLiar } from '../../support/images/loopback-registry.ts';
import {
  CONFIG_TYPE,
  MANIFEST_TYPE,
  sha256,
  toConfig,
} from '../../support/images/small-oci-layout.ts';
import { makeTar } from '../../support/images/small-tar.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';
import {
  asNamed,
  cli,
  importIsTaken,
  type LayoutTexts,
  secretTar,
  stackOf,
  writeDockerArchive,
  writeLayout,
} from '../support/image-scene.ts';
import { type ProbeVerdict, toVerdict } from '../support/probe.ts';

/** Inserts a member before the others of the outermost object. */
const addFirst = (member: string) => (text: string) => text.replace('{', `{${member},`);
const rename = (key: string, other: string) => (text: string) =>
  text.replace(`"${key}":`, `"${other}":`);

const MEMBER = /"((?:[^"\\]|\\.)*)":("[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^,}]+)/g;
const fold = (key: string) => key.toUpperCase().toLowerCase();

/** The value of a key in a flat document for a case-sensitive parser, for one that takes the first similar key, and for one that takes the last. */
function readings(text: string, key: string): readonly (string | undefined)[] {
  const alike = [...text.matchAll(MEMBER)]
    .filter(([, name]) => fold(String(JSON.parse(`"${name}"`))) === fold(key))
    .map(([, , value]) => value);
  const exact: unknown = Reflect.get(JSON.parse(text) as object, key);
  return [JSON.stringify(exact), alike.at(0), alike.at(-1)];
}

interface TwofoldProbe {
  readonly name: string;
  readonly tries: string;
  readonly key: string;
  readonly change: (text: string) => string;
  readonly document: keyof LayoutTexts | 'archive';
  /** A document for the demonstration. */
  readonly sample: string;
}

/** Checks one reading and uses the other. */
function checkThenUse({ change, key, sample }: TwofoldProbe): Promise<ProbeVerdict> {
  return Promise.resolve(toVerdict(new Set(readings(change(sample), key)).size > 1));
}

async function importTwofold(scene: HostProbeScene, probe: TwofoldProbe): Promise<ProbeVerdict> {
  const layers = [asNamed(secretTar(scene))];
  if (probe.document === 'archive') {
    const file = `${scene.folder}/image.tar`;
    await writeDockerArchive(file, layers, probe.change);
    return await importIsTaken(scene, `docker-archive:${file}`);
  }
  const folder = `${scene.folder}/image`;
  await writeLayout(folder, layers, { [probe.document]: probe.change });
  return await importIsTaken(scene, `oci:${folder}`);
}

const toTwofold = (probe: TwofoldProbe): HostProbe => ({
  name: `read in two ways: ${probe.name}`,
  group: 'images and layers',
  tries: probe.tries,
  stoppedBy: 'keys that come twice, or in another case, are refused',
  shownOn: 'a program that checks one reading and acts on the other',
  attack: (scene) => importTwofold(scene, probe),
  proof: () => checkThenUse(probe),
});

const GZIP_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const HIDDEN = 40;

/** A registry whose manifest has one layer for a case-sensitive parser and many for others; counts the blobs that are requested. */
async function fetchHidden(scene: HostProbeScene): Promise<ProbeVerdict> {
  const blobs = Array.from({ length: HIDDEN }, (_, index) =>
    gzipSync(makeTar([{ path: `file-${index}`, content: scene.secret }])),
  );
  const describe = (mediaType: string, bytes: Uint8Array | string) => ({
    mediaType,
    digest: sha256(bytes),
    size: Buffer.byteLength(bytes),
  });
  const config = JSON.stringify(toConfig({ layers: [] }));
  const described = blobs.map((blob) => describe(GZIP_TYPE, blob));
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: describe(CONFIG_TYPE, config),
    layers: described.slice(0, 1),
    LAYERS: described,
  });
  const asked = new Set<string>();
  const liar = await startLiar((request, response) => {
    const url = request.url ?? '';
    response.on('error', () => undefined);
    if (url.includes('/manifests/')) {
      response.writeHead(200, { 'content-type': MANIFEST_TYPE }).end(manifest);
    } else if (url.endsWith(sha256(config))) response.end(config);
    else if (url.includes('/blobs/')) {
      asked.add(url);
      response.end(blobs.find((blob) => url.endsWith(sha256(blob))));
    } else response.end('{}');
  });
  scene.defer(() => liar.close());
  const reference = `docker://${liar.host}/image:1`;
  await cli(scene, 'stack', 'import', stackOf(scene, 't'), reference, '--tls-verify', 'false');
  return toVerdict(asked.size > 1);
}

const hiddenLayers = '"layers":[1],"LAYERS":[1,2,3]';

const MANY_FILES =
  'i=0; while [ $i -lt 300 ]; do head -c 1048576 /dev/zero > "$1/$i" || exit 1; i=$((i+1)); done; sleep 600';
const BOUND_BYTES = 8 * 1024 ** 2;
const FLOOD_BYTES = 290 * 1024 ** 2;

/** Fills a folder with many small files, then waits. */
async function flood(folder: string, signal: AbortSignal): Promise<void> {
  const child = spawn('sh', ['-c', `exec 2>/dev/null; ${MANY_FILES}`, 'sh', folder], {
    stdio: 'ignore',
    detached: true,
  });
  const ended = once(child, 'exit');
  const end = () => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', end, { once: true });
  await ended;
}

async function fillWatched(scene: HostProbeScene): Promise<ProbeVerdict> {
  const folder = `${scene.folder}/fetched`;
  mkdirSync(folder);
  const bound = { folder, maxBytes: BOUND_BYTES, silenceMs: 60_000, operation: 'fetch' };
  await withinBytes(bound, (signal) => flood(folder, signal)).catch(() => undefined);
  return toVerdict((await measureTree(folder)).bytes >= FLOOD_BYTES);
}

async function fillUnwatched(scene: HostProbeScene): Promise<ProbeVerdict> {
  const folder = `${scene.folder}/fetched`;
  mkdirSync(folder);
  const done = new AbortController();
  const flooding = flood(folder, done.signal);
  for (;;) {
    const last = statSync(`${folder}/299`, { throwIfNoEntry: false });
    if (last !== undefined && last.size === 1_048_576) break;
    await new Promise(setImmediate);
  }
  done.abort();
  await flooding;
  return toVerdict((await measureTree(folder)).bytes >= FLOOD_BYTES);
}

export const twofoldManifestProbes: readonly HostProbe[] = [
  ...[
    {
      name: 'a manifest with a key twice',
      tries: 'imports a layout whose manifest has `schemaVersion` twice',
      key: 'schemaVersion',
      document: 'manifest',
      change: addFirst('"schemaVersion":1'),
      sample: '{"schemaVersion":2}',
    },
    {
      name: 'a manifest with a key in two cases',
      tries: 'imports a layout whose manifest has `layers` and `LAYERS`',
      key: 'layers',
      document: 'manifest',
      change: addFirst('"LAYERS":[]'),
      sample: '{"layers":[1]}',
    },
    {
      name: 'a manifest with a key in another script',
      tries: 'the same with a long s (U+017F), which is an s to who ignores case',
      key: 'layers',
      document: 'manifest',
      change: addFirst('"layer\u017f":[]'),
      sample: '{"layers":[1]}',
    },
    {
      name: 'an index with a key twice',
      tries: 'imports a layout whose `index.json` has `manifests` twice, once with an escape',
      key: 'manifests',
      document: 'index',
      change: addFirst('"\\u006danifests":[]'),
      sample: '{"manifests":[1]}',
    },
    {
      name: 'a config with DiffIDs in two cases',
      tries: 'imports a layout whose config has `rootfs` and `RootFS`',
      key: 'rootfs',
      document: 'config',
      change: addFirst('"RootFS":{}'),
      sample: '{"rootfs":1}',
    },
    {
      name: 'a config with a user in another case alone',
      tries: 'imports a layout whose config says `USER`: nobody or root, as it is read',
      key: 'User',
      document: 'config',
      change: rename('User', 'USER'),
      sample: '{"User":"65534"}',
    },
    {
      name: 'a docker archive with a key twice',
      tries: 'imports what `docker save` writes with `Layers` twice in `manifest.json`',
      key: 'Layers',
      document: 'archive',
      change: (text: string) => text.replace('"Layers":', '"Layers":["x"],"Layers":'),
      sample: '{"Layers":["y"]}',
    },
    {
      name: 'a layout’s marker with a key twice',
      tries: 'imports a layout whose `oci-layout` tells two versions',
      key: 'imageLayoutVersion',
      document: 'marker',
      change: addFirst('"imageLayoutVersion":"9"'),
      sample: '{"imageLayoutVersion":"1.0.0"}',
    },
  ].map((probe) => toTwofold(probe as TwofoldProbe)),
  {
    name: 'layers that only the fetching program sees',
    group: 'images and layers',
    tries:
      'offers a manifest with `layers` and `LAYERS` to an import from a registry, and counts what is fetched',
    stoppedBy: 'keys that come in another case are refused before anything is fetched',
    shownOn: 'a program that checks one reading and acts on the other',
    attack: fetchHidden,
    proof: () =>
      Promise.resolve(toVerdict(new Set(readings(`{${hiddenLayers}}`, 'layers')).size > 1)),
  },
  {
    name: 'more bytes than the manifest tells of',
    group: 'images and layers',
    tries: 'has the fetching program write small files without end',
    stoppedBy: 'the folder is measured meanwhile, and the program is ended',
    shownOn: 'a program that trusts the manifest',
    attack: fillWatched,
    proof: fillUnwatched,
  },
];
