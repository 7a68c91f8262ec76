/** OCI layouts that are malformed or do not match their digests: each is refused, and nothing is stored. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readHostFacts } from '../../src/sys/host-facts.ts';
import {
  CONFIG_TYPE,
  INDEX_TYPE,
  LAYER_TYPE,
  MANIFEST_TYPE,
  sha256,
  toConfig,
  writeBlob,
  writeIndex,
  writeSmallOciLayout,
} from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { LOWER, UPPER, useOciLab } from './support/oci-lab.ts';

const { architecture } = readHostFacts();
const lab = useOciLab();

const stored = () => ['images', 'layers', 'tmp'].flatMap((name) => lab.list(name));

interface Documents {
  config: object | string;
  manifest: Record<string, unknown>;
}

/** Writes a layout after `change` has edited its documents. */
async function writeChanged(change: (documents: Documents) => void): Promise<void> {
  const layer = await writeBlob(lab.source, LAYER_TYPE, LOWER);
  const documents: Documents = {
    config: toConfig({ layers: [LOWER] }),
    manifest: { schemaVersion: 2, mediaType: MANIFEST_TYPE, layers: [layer] },
  };
  change(documents);
  const text =
    typeof documents.config === 'string' ? documents.config : JSON.stringify(documents.config);
  const config = await writeBlob(lab.source, CONFIG_TYPE, text);
  const manifest = JSON.stringify({ config, ...documents.manifest });
  await writeIndex(lab.source, await writeBlob(lab.source, MANIFEST_TYPE, manifest));
}

/** Changes that make a layout of two sound layers unsound. */
const unsound: Record<string, (digest: string) => Promise<void> | void> = {
  'no index.json': () => rmSync(`${lab.source}/index.json`),
  'no oci-layout': () => rmSync(`${lab.source}/oci-layout`),
  'an index.json that is not JSON': () =>
    writeFile(`${lab.source}/index.json`, '{"schemaVersion":2,'),
  'an index.json that is not UTF-8': () =>
    writeFile(`${lab.source}/index.json`, Buffer.from([0x7b, 0xff, 0x7d])),
  'a layout of a later version': () =>
    writeFile(`${lab.source}/oci-layout`, '{"imageLayoutVersion":"2.0.0"}'),
  'no image with the tag': () =>
    writeFile(`${lab.source}/index.json`, '{"schemaVersion":2,"manifests":[]}'),
  'two images with the tag': async (digest) => {
    const one = {
      mediaType: MANIFEST_TYPE,
      digest,
      size: 1,
      annotations: { 'org.opencontainers.image.ref.name': 'latest' },
    };
    await writeFile(
      `${lab.source}/index.json`,
      JSON.stringify({ schemaVersion: 2, manifests: [one, one] }),
    );
  },
  'a missing manifest': (digest) => rmSync(lab.blobPath(digest)),
  'a manifest with other content': async (digest) => {
    const text = readFileSync(lab.blobPath(digest), 'utf8');
    await writeFile(lab.blobPath(digest), text.replace('"schemaVersion":2', '"schemaVersion":3'));
  },
  'a truncated manifest': (digest) => truncateSync(lab.blobPath(digest), 100),
  'a manifest of an absurd size': async (digest) => {
    truncateSync(lab.blobPath(digest), 5 * 1024 ** 2);
    await writeIndex(lab.source, { mediaType: MANIFEST_TYPE, digest, size: 5 * 1024 ** 2 });
  },
  'a manifest with an absurd size in its descriptor': (digest) =>
    writeIndex(lab.source, { mediaType: MANIFEST_TYPE, digest, size: 2 ** 52 }),
  'a negative size': (digest) =>
    writeIndex(lab.source, { mediaType: MANIFEST_TYPE, digest, size: -1 }),
  'an unknown media type': (digest) =>
    writeIndex(lab.source, { mediaType: 'text/plain', digest, size: 1 }),
  'a digest that is a path': () =>
    writeIndex(lab.source, {
      mediaType: MANIFEST_TYPE,
      digest: 'sha256:../../../../etc/passwd',
      size: 1,
    }),
  'a digest of another algorithm': () =>
    writeIndex(lab.source, {
      mediaType: MANIFEST_TYPE,
      digest: `sha512:${'0'.repeat(128)}`,
      size: 1,
    }),
  'an index that names itself': async () => {
    let nested = await writeBlob(
      lab.source,
      INDEX_TYPE,
      JSON.stringify({ schemaVersion: 2, manifests: [] }),
    );
    for (let depth = 0; depth < 5; depth += 1) {
      const one = { ...nested, platform: { os: 'linux', architecture } };
      nested = await writeBlob(
        lab.source,
        INDEX_TYPE,
        JSON.stringify({ schemaVersion: 2, manifests: [one] }),
      );
    }
    await writeIndex(lab.source, nested);
  },
  'an index without this platform': async (digest) => {
    const one = {
      mediaType: MANIFEST_TYPE,
      digest,
      size: 1,
      platform: { os: 'linux', architecture: 's390x' },
    };
    await writeIndex(
      lab.source,
      await writeBlob(
        lab.source,
        INDEX_TYPE,
        JSON.stringify({ schemaVersion: 2, manifests: [one] }),
      ),
    );
  },
  'a blob that is a link': (digest) => {
    execFileSync('mv', [lab.blobPath(digest), `${lab.folder}/outside`]);
    symlinkSync(`${lab.folder}/outside`, lab.blobPath(digest));
  },
  'a blobs folder that is a link': async () => {
    await rename(`${lab.source}/blobs`, `${lab.folder}/blobs`);
    symlinkSync(`${lab.folder}/blobs`, `${lab.source}/blobs`);
  },
  'a blob that is a FIFO': (digest) => {
    rmSync(lab.blobPath(digest));
    execFileSync('mkfifo', [lab.blobPath(digest)]);
  },
  'a blob that is a folder': async (digest) => {
    rmSync(lab.blobPath(digest));
    await mkdir(lab.blobPath(digest));
  },
  'a missing layer': () => rmSync(lab.blobPath(sha256(LOWER))),
  'a truncated layer': () => truncateSync(lab.blobPath(sha256(LOWER)), 512),
};

const unsoundDocuments: Record<string, (documents: Documents) => void> = {
  'a config that is not JSON': (documents) => {
    documents.config = 'config';
  },
  'a config for another architecture': (documents) => {
    documents.config = { ...toConfig({ layers: [LOWER] }), architecture: 's390x' };
  },
  'a config for another system': (documents) => {
    documents.config = { ...toConfig({ layers: [LOWER] }), os: 'windows' };
  },
  'one DiffID too many': (documents) => {
    documents.config = toConfig({ layers: [LOWER, UPPER] });
  },
  'a DiffID that is a path': (documents) => {
    documents.config = {
      ...toConfig({ layers: [] }),
      rootfs: { type: 'layers', diff_ids: ['sha256:../x'] },
    };
  },
  'an Env that is not a list': (documents) => {
    documents.config = { ...toConfig({ layers: [LOWER] }), config: { Env: 'A=b' } };
  },
  'an epoch that is not a number': (documents) => {
    documents.config = toConfig({ layers: [LOWER], labels: { 'io.stackshim.epoch': '-1' } });
  },
  'a config that is a layer': (documents) => {
    documents.manifest['config'] = {
      mediaType: LAYER_TYPE,
      digest: sha256(LOWER),
      size: LOWER.length,
    };
  },
  'no layers': (documents) => {
    documents.manifest['layers'] = [];
  },
  'more layers than an overlay accepts': (documents) => {
    const layer = { mediaType: LAYER_TYPE, digest: sha256(LOWER), size: LOWER.length };
    documents.manifest['layers'] = Array(300).fill(layer);
  },
  'a layer of an unknown media type': (documents) => {
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+lzma';
    documents.manifest['layers'] = [{ mediaType, digest: sha256(LOWER), size: LOWER.length }];
  },
  'a layer type named like a property of every object': (documents) => {
    documents.manifest['layers'] = [
      { mediaType: 'constructor', digest: sha256(LOWER), size: LOWER.length },
    ];
  },
  'a layer of another size': (documents) => {
    documents.manifest['layers'] = [{ mediaType: LAYER_TYPE, digest: sha256(LOWER), size: 1 }];
  },
  'a manifest of an old version': (documents) => {
    documents.manifest['schemaVersion'] = 1;
  },
};

it('a layout that does not exist is reported as such', async () => {
  await expect(lab.take()).rejects.toMatchObject({
    code: 'ERR_STACKSHIM_INPUT_NOT_FOUND',
    kind: 'not_found',
  });
  expect(stored()).toEqual([]);
});

describe('an unsound layout', () => {
  it.each(Object.keys(unsound))('with %s', async (which) => {
    const digest = await writeSmallOciLayout(lab.source, { layers: [LOWER, UPPER] });
    await unsound[which]?.(digest);
    await expect(lab.take()).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_IMAGE_INVALID',
      kind: 'invalid',
    });
    expect(stored()).toEqual([]);
  });

  it.each(Object.keys(unsoundDocuments))('with %s', async (which) => {
    await writeChanged((documents) => unsoundDocuments[which]?.(documents));
    await expect(lab.take()).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_IMAGE_INVALID',
      kind: 'invalid',
    });
    expect(stored()).toEqual([]);
  });

  it.each([
    ['changed bytes', (tar: Buffer) => tar.fill(0x78, 1536, 1537)],
    [
      'another file of the same length',
      () =>
        makeTar([
          { kind: 'directory', path: 'etc' },
          { path: 'etc/a', content: 'x' },
        ]),
    ],
  ])('with %s in a layer', async (_, change) => {
    await writeSmallOciLayout(lab.source, { layers: [LOWER] });
    await writeFile(lab.blobPath(sha256(LOWER)), change(Buffer.from(LOWER)));
    await expect(lab.take()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
    expect(stored()).toEqual([]);
  });

  it('with the DiffID of another tar', async () => {
    await writeChanged((documents) => {
      documents.config = toConfig({ layers: [UPPER] });
    });
    await expect(lab.take()).rejects.toMatchObject({ code: 'ERR_STACKSHIM_LAYER_INVALID' });
    expect(stored()).toEqual([]);
  });
});
