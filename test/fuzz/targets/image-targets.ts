/** Parsers of images from outside: OCI layouts, docker archives, saved stacks, and files within an image. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { parseMirrors } from '../../../src/build/build-rootfs.ts';
import { parseBaseDefinition, parseDockerfile } from '../../../src/build/stack-source.ts';
import { isImageDigest, isLayerId } from '../../../src/core/ids.ts';
import { layoutFrom, trustedKeysDir } from '../../../src/core/layout.ts';
import { indexArchive } from '../../../src/exchange/archives/index-archive.ts';
import type { OpenArchive } from '../../../src/exchange/archives/open-archive.ts';
import { readDockerArchive } from '../../../src/exchange/archives/read-docker-archive.ts';
import { type OciLayoutRoot, toInvalid } from '../../../src/exchange/oci-image/oci-blobs.ts';
import { toOciConfig } from '../../../src/exchange/oci-image/oci-documents.ts';
import { readOciLayout } from '../../../src/exchange/oci-image/read-oci-layout.ts';
import { parseSavedIndex } from '../../../src/exchange/saves/saved-index.ts';
import { createSavedReader } from '../../../src/exchange/saves/saved-reader.ts';
import { signIndex, verifyIndex } from '../../../src/exchange/saves/sign-index.ts';
import { parseSmokeLabel } from '../../../src/exchange/smoke.ts';
import { resolveUser } from '../../../src/oci/resolve-user.ts';
import { parseDpkgStatus } from '../../../src/store/diff/dpkg-status.ts';
import { type Image, STACK_LABELS } from '../../../src/store/images/image.ts';
import { readHostFacts } from '../../../src/sys/host-facts.ts';
import { buildTar } from '../../support/images/tar-builder.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';
import { repairTar } from '../support/repair-tar.ts';
import { storedSamples } from './stored-targets.ts';

const hex = 'ab'.repeat(32);
const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const { architecture } = readHostFacts();

const config = {
  created: '2026-01-01T00:00:00Z',
  architecture,
  os: 'linux',
  config: {
    Env: ['PATH=/bin'],
    Entrypoint: null,
    Cmd: ['sh'],
    WorkingDir: '/',
    User: '1000',
    Labels: { a: 'b' },
  },
  rootfs: { type: 'layers', diff_ids: [`sha256:${hex}`] },
  history: [{ created_by: 'x' }],
};
const layer = buildTar({ path: 'a', content: 'b' });
const OCI = 'application/vnd.oci.image';
const describe = (mediaType: string, bytes: Buffer, more: object = {}) => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});
const toBytes = (value: unknown) => Buffer.from(JSON.stringify(value));

/** All documents of a layout as one value, so that any part can be changed. */
const layoutParts = {
  marker: { imageLayoutVersion: '1.0.0' },
  index: {
    schemaVersion: 2,
    manifests: [{ annotations: { 'org.opencontainers.image.ref.name': 'latest' } }],
  },
  nested: { schemaVersion: 2, manifests: [{ platform: { os: 'linux', architecture } }] },
  manifest: { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config: {}, layers: [{}] },
  config,
};

/** Makes digests and sizes match: otherwise the parser would stop at the first of them. */
function toLayoutRoot(value: unknown): OciLayoutRoot {
  const parts = { ...layoutParts, ...(value as Partial<typeof layoutParts>) };
  const [configBytes, blobs] = [toBytes(parts.config), new Map<string, Buffer>()];
  const keep = (bytes: Buffer) => {
    blobs.set(`blobs/sha256/${digestOf(bytes).slice(7)}`, bytes);
    return bytes;
  };
  const pointing = (document: unknown, field: string, to: object) => {
    const list = (document as Record<string, unknown> | null)?.[field];
    const first: unknown = Array.isArray(list) ? list[0] : list;
    if (typeof first === 'object' && first !== null) {
      for (const [key, entry] of Object.entries(to)) {
        if (!(key in first)) Object.assign(first, { [key]: entry });
      }
    }
    return document;
  };
  keep(configBytes);
  pointing(parts.manifest, 'config', describe(`${OCI}.config.v1+json`, configBytes));
  pointing(parts.manifest, 'layers', describe(`${OCI}.layer.v1.tar`, keep(layer)));
  const manifest = keep(toBytes(parts.manifest));
  pointing(parts.nested, 'manifests', describe(`${OCI}.manifest.v1+json`, manifest));
  const nested = keep(toBytes(parts.nested));
  pointing(parts.index, 'manifests', describe(`${OCI}.index.v1+json`, nested));
  blobs.set('index.json', toBytes(parts.index));
  blobs.set('oci-layout', toBytes(parts.marker));
  return { name: 'fuzzed', openFile: (path) => openPart(blobs, path) };
}

function openPart(parts: ReadonlyMap<string, Buffer>, path: string) {
  const bytes = parts.get(path);
  if (bytes === undefined) return Promise.reject(toInvalid(`open ${path}: not there`));
  async function* chunks() {
    await Promise.resolve();
    yield bytes ?? Buffer.alloc(0);
  }
  return Promise.resolve({ size: bytes.length, chunks, close: () => Promise.resolve() });
}

const dockerParts = {
  manifest: [{ Config: 'config.json', RepoTags: ['a:1'], Layers: ['./layer.tar'] }],
  config,
};

function toDockerArchive(value: unknown): OpenArchive {
  const parts = { ...dockerParts, ...(value as Partial<typeof dockerParts>) };
  const files = new Map([
    ['manifest.json', toBytes(parts.manifest)],
    ['config.json', toBytes(parts.config)],
    ['layer.tar', layer],
  ]);
  return {
    name: 'fuzzed',
    openFile: (path) => openPart(files, path),
    close: () => Promise.resolve(),
  };
}

const savedIndex = {
  version: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  stacks: [{ stack: 'busybox', revision: 3, image: storedSamples.image.digest }],
  images: [storedSamples.image],
  layers: [storedSamples.layer],
};

const savedFile = buildTar(
  { path: 'stackshim.json', content: JSON.stringify(savedIndex) },
  { path: 'stackshim.sig', content: 'x'.repeat(200) },
  { path: `layers/${hex}.erofs`, content: Buffer.alloc(5000, 'e') },
);

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
}

async function readSaved(bytes: Buffer): Promise<void> {
  const reader = createSavedReader(inPieces(bytes));
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    if (entry.path === 'stackshim.json') parseSavedIndex(await reader.whole(1_000_000));
  }
}

const archives = [
  buildTar({ path: 'index.json', content: '{}' }, { path: 'blobs/', type: '5' }),
  buildTar(
    { path: 'a/layer.tar', content: Buffer.alloc(3000, 1) },
    { path: 'b/layer.tar', type: '2', link: '../a/layer.tar' },
    {
      path: 'x',
      content: 'long',
      pax: [
        ['path', 'p'.repeat(150)],
        ['mtime', '1.5'],
      ],
    },
  ),
];

async function indexFile(files: FuzzFiles, bytes: Buffer): Promise<void> {
  const file = await open(files.write('archive.tar', bytes), 'r');
  try {
    await indexArchive(file, bytes.length);
  } finally {
    await file.close();
  }
}

const dpkgStatus = [
  'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.41-12',
  'Installed-Size: 13000\nDescription: x\n more\n .\n\nPackage: tzdata',
  'Status: deinstall ok config-files\nVersion: 1\n\nPackage: libc6\nStatus: install ok installed',
  'Architecture: i386\nVersion: 2.41\n\n',
].join('\n');

const passwd =
  'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:\nnobody:x:65534:65534:::\n';
const group = 'root:x:0:\nstaff:x:50:user,root\nnogroup:x:65534:\n';
const users = ['user', 'user:staff', '1000', '0:50', ''];

const writtenImages: readonly FuzzTarget[] = [
  {
    name: 'OCI layouts',
    form: 'value',
    weight: 4,
    samples: [layoutParts],
    words: ['digest', 'size', 'mediaType', 'platform', 'annotations', `sha256:${hex}`, OCI],
    run: (value) => readOciLayout(toLayoutRoot(value), 'latest'),
  },
  {
    name: 'docker archives’ manifests',
    form: 'value',
    weight: 2,
    samples: [dockerParts],
    words: ['Config', 'Layers', 'RepoTags', '../', './'],
    run: (value) => readDockerArchive(toDockerArchive(value), 'a:1'),
  },
  {
    name: 'indexes of saved stacks',
    form: 'document',
    weight: 2,
    samples: [savedIndex],
    words: ['stacks', 'images', 'layers', hex],
    run: parseSavedIndex,
  },
  {
    name: 'files of saved stacks',
    form: 'bytes',
    weight: 2,
    samples: [savedFile],
    words: ['ustar\0', 'stackshim.json'],
    repair: repairTar,
    run: readSaved,
  },
];

const withinImages: readonly FuzzTarget[] = [
  {
    name: 'lists of Debian packages',
    form: 'text',
    samples: [dpkgStatus],
    words: ['Package:', 'Status:', 'installed', 'Installed-Size:', '\n\n', '\n ', ':'],
    run: parseDpkgStatus,
  },
  {
    name: 'passwd and group files',
    form: 'text',
    weight: 2,
    samples: users.map((user) => [user, passwd, group].join('\u0001')),
    words: [':', '\n', '\u0001', 'root', '::', '4294967295'],
    run(text) {
      const [user = '', passwdText = '', groupText = ''] = text.split('\u0001');
      return resolveUser(user, passwdText, groupText);
    },
  },
  {
    name: 'smoke labels',
    form: 'text',
    samples: ['["python3","-c","import ssl"]', 'python3 -V'],
    run: (label) => parseSmokeLabel(imageWith(label)),
  },
  {
    name: 'definitions of bases',
    form: 'document',
    samples: [
      {
        version: 1,
        debian: {
          suite: 'trixie',
          include: ['ca-certificates'],
          dpkg: ['path-exclude=/usr/share/doc/*'],
        },
      },
    ],
    words: ['debian', 'suite', 'include', 'dpkg'],
    run: (bytes) => parseBaseDefinition(bytes.toString('utf8'), '/srv/base'),
  },
  {
    name: 'Dockerfiles and lists of mirrors',
    form: 'text',
    samples: [
      'FROM --platform=linux/amd64 localhost/debian-13:latest AS a\nCOPY --from=localhost/c a b\nFROM localhost/b\n',
      'Debian|Debian|http://deb.example/debian\nDebian|Debian-Security|https://s.example/x\n',
    ],
    words: ['FROM', 'localhost/', '--platform=', '--from=', ' AS ', '|', '\n', ' '],
    run: (text) => [parseDockerfile(text), parseMirrors(text)],
  },
];

function imageWith(smoke: string): Image {
  const { version: _, ...image } = storedSamples.image;
  const labels = { [STACK_LABELS.smoke]: smoke };
  if (!isImageDigest(image.digest) || !isLayerId(hex)) throw new Error('no digest');
  return { ...image, digest: image.digest, layers: [hex], config: { ...image.config, labels } };
}

export function imageTargets(files: FuzzFiles): readonly FuzzTarget[] {
  return [
    ...writtenImages,
    {
      name: 'archives of images',
      form: 'bytes',
      weight: 2,
      samples: archives,
      words: ['ustar\0', '../', './', 'GNU.sparse.major'],
      repair: repairTar,
      run: (bytes) => indexFile(files, bytes),
    },
    signatureTarget(files),
    ...withinImages,
    {
      name: 'image configs written out',
      form: 'text',
      weight: 0.5,
      samples: ['0', '-1', '1700000000', '253402300799'],
      run(text) {
        const image = imageWith('x');
        const labels = { [STACK_LABELS.epoch]: text };
        const config = { ...image.config, labels };
        const written = toOciConfig({ ...image, config }, [`sha256:${hex}`]);
        // RFC 3339.
        if (!/^\{"created":"\d{4}-\d\d-\d\dT[\d:.]{12}Z"/.test(written)) throw new Error(written);
        return written;
      },
    },
  ];
}

function signatureTarget(files: FuzzFiles): FuzzTarget {
  const layout = layoutFrom({ root: `${files.folder}/trusting`, run: files.folder }, {});
  const index = toBytes(savedIndex);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const toPem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' });
  files.write(`${trustedKeysDir(layout).slice(files.folder.length + 1)}/a.pem`, toPem(publicKey));
  return {
    name: 'signatures',
    form: 'document',
    samples: [JSON.parse(signIndex(index, privateKey))],
    words: ['key', 'signature', 'version'],
    run: (bytes) => verifyIndex(layout, index, bytes),
  };
}
