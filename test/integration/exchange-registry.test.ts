/** Registries: Debian's own on loopback, and registries that disconnect, lie or offer unusable images. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushStack } from '../../src/exchange/push-stack.ts';
import { linuxSystem } from '../../src/sys/linux-system.ts';
import {
  type LoopbackRegistry,
  startLiar,
  startRegistry,
} from '../support/images/loopback-registry.ts';
import {
  CONFIG_TYPE,
  INDEX_TYPE,
  MANIFEST_TYPE,
  sha256,
  toConfig,
} from '../support/images/small-oci-layout.ts';
import { makeTar } from '../support/images/small-tar.ts';
import { useExchangeLab } from '../support/stacks/exchange-lab.ts';

const lab = useExchangeLab();
const HTTP = { tlsVerify: false } as const;
/** `user` with the password `secret`, as htpasswd(1) writes it with bcrypt. */
const HTPASSWD = 'user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n';

let open: LoopbackRegistry;
beforeAll(async () => {
  open = await startRegistry(`${lab.folder}/open`);
});
afterAll(() => open.close());

const push = (stack: string, reference: string, more = {}) =>
  pushStack(lab.installation.layout, { system: linuxSystem, stack, reference, ...HTTP, ...more });

describe('a registry', () => {
  it('accepts a stack and returns it, by tag and by digest', async () => {
    const pushed = await push('busybox', `docker://${open.host}/team/busybox:v1`);
    const pulled = await lab.import('pulled', `docker://${open.host}/team/busybox:v1`, HTTP);
    expect(pulled.image).toBe(pushed.digest);
    expect(lab.layersOf('pulled')).toEqual(lab.layersOf('busybox'));
    expect(await lab.run('pulled', ['echo', 'here'])).toMatchObject({
      output: { stdout: 'here\n' },
    });
    const again = await lab.import(
      'by-digest',
      `docker://${open.host}/team/busybox@${pushed.digest}`,
      HTTP,
    );
    expect(again.image).toBe(pushed.digest);
    expect(lab.state()).toMatchObject({ tmp: [], leases: [] });
  });

  it('can hold zstd layers', async () => {
    await lab.export('busybox', 'busybox.tar');
    const packed = `oci:${lab.folder}/zstd:x`;
    const skopeo = (...args: string[]) =>
      execFileSync('skopeo', ['--insecure-policy', 'copy', ...args], { stdio: 'pipe' });
    skopeo(
      '--dest-compress',
      '--dest-compress-format',
      'zstd',
      `oci-archive:${lab.folder}/busybox.tar`,
      packed,
    );
    skopeo('--dest-tls-verify=false', '--preserve-digests', packed, `docker://${open.host}/zstd:1`);
    await lab.import('zstd', `docker://${open.host}/zstd:1`, HTTP);
    expect(lab.layersOf('zstd')).toEqual(lab.layersOf('busybox'));
  });

  it('over plain HTTP is refused unless the caller allows it', async () => {
    const reference = `docker://${open.host}/team/busybox:v1`;
    for (const work of [
      lab.import('pulled', reference),
      push('busybox', reference, { tlsVerify: true }),
    ]) {
      await expect(work).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
    }
  });

  it('without the image says so', async () => {
    const before = lab.state();
    const importing = lab.import('pulled', `docker://${open.host}/team/nothing:v1`, HTTP);
    await expect(importing).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_REGISTRY_FAILED',
      kind: 'unavailable',
    });
    expect(lab.state()).toEqual(before);
  });

  it('with a password gets it from a file', async () => {
    const closed = await startRegistry(`${lab.folder}/closed`, HTPASSWD);
    try {
      const reference = `docker://${closed.host}/mine:1`;
      await expect(push('busybox', reference)).rejects.toMatchObject({
        code: 'ERR_STACKSHIM_REGISTRY_FAILED',
      });
      const authFile = `${lab.folder}/auth.json`;
      const auth = Buffer.from('user:secret').toString('base64');
      writeFileSync(authFile, JSON.stringify({ auths: { [closed.host]: { auth } } }), {
        mode: 0o600,
      });
      const pushed = await push('busybox', reference, { authFile });
      const pulled = await lab.import('pulled', reference, { ...HTTP, authFile });
      expect(pulled.image).toBe(pushed.digest);
    } finally {
      await closed.close();
    }
  });
});

const LAYER = gzipSync(makeTar([{ path: 'a', content: Buffer.alloc(3_000_000, 'a') }]), {
  level: 0,
});

interface Lie {
  readonly code: string;
  /** The top manifest; a sound one by default. */
  readonly manifest?: object;
  readonly layer?: (response: ServerResponse) => void;
}

const config = JSON.stringify(toConfig({ layers: [] }));
const descriptor = (mediaType: string, bytes: Uint8Array | string) => ({
  mediaType,
  digest: sha256(bytes),
  size: Buffer.byteLength(bytes),
});
const GZIP_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
const sound = {
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  config: descriptor(CONFIG_TYPE, config),
  layers: [descriptor(GZIP_TYPE, LAYER)],
};

const lies: Record<string, Lie> = {
  'disconnects within a layer': {
    code: 'ERR_STACKSHIM_REGISTRY_FAILED',
    layer: (response) => {
      response.writeHead(200, { 'content-length': LAYER.length });
      response.write(LAYER.subarray(0, 100_000), () => response.destroy());
    },
  },
  'returns a shorter layer than announced': {
    code: 'ERR_STACKSHIM_REGISTRY_FAILED',
    layer: (response) => response.end(LAYER.subarray(0, -1)),
  },
  'returns another layer': {
    code: 'ERR_STACKSHIM_REGISTRY_FAILED',
    layer: (response) => response.end(Buffer.alloc(LAYER.length, 'b')),
  },
  'returns an endless layer': {
    code: 'ERR_STACKSHIM_REGISTRY_FAILED',
    layer: (response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(1 << 20)));
      };
      response.on('drain', more);
      more();
    },
  },
  'offers no image for this machine': {
    code: 'ERR_STACKSHIM_IMAGE_INVALID',
    manifest: {
      schemaVersion: 2,
      mediaType: INDEX_TYPE,
      manifests: [
        { ...descriptor(MANIFEST_TYPE, 'x'), platform: { os: 'linux', architecture: 's390x' } },
      ],
    },
  },
  'offers a layer of an absurd size': {
    code: 'ERR_STACKSHIM_LAYER_TOO_LARGE',
    manifest: { ...sound, layers: [{ ...descriptor(GZIP_TYPE, LAYER), size: 2 ** 50 }] },
  },
  'offers a manifest of an unknown kind': {
    code: 'ERR_STACKSHIM_IMAGE_INVALID',
    manifest: { schemaVersion: 2, mediaType: 'application/vnd.example.thing+json', layers: [] },
  },
  'offers a layer of an unknown kind': {
    code: 'ERR_STACKSHIM_IMAGE_INVALID',
    manifest: { ...sound, layers: [descriptor('application/vnd.example.layer', LAYER)] },
  },
};

function answer(lie: Lie, url: string, response: ServerResponse): void {
  const manifest = JSON.stringify(lie.manifest ?? sound);
  const { mediaType } = (lie.manifest ?? sound) as { mediaType: string };
  if (url === '/v2/') response.end('{}');
  else if (url.includes('/manifests/')) {
    response.writeHead(200, {
      'content-type': mediaType,
      'docker-content-digest': sha256(manifest),
    });
    response.end(manifest);
  } else if (url.endsWith(sha256(config))) response.end(config);
  else if (url.includes('/blobs/')) (lie.layer ?? (() => response.end(LAYER)))(response);
  else response.writeHead(404).end();
}

describe('an unreliable registry', () => {
  it.each(Object.entries(lies))('fails the import if it %s', async (_, lie) => {
    const before = lab.state();
    const liar = await startLiar((request, response) => {
      response.on('error', () => undefined);
      answer(lie, request.url ?? '', response);
    });
    try {
      const importing = lab.import('busybox', `docker://${liar.host}/thing:1`, HTTP);
      await expect(importing).rejects.toMatchObject({ code: lie.code });
    } finally {
      await liar.close();
    }
    expect(lab.state()).toEqual(before);
  });

  it('fails the import if it does not answer', async () => {
    const gone = await startLiar((_, response) => response.end());
    await gone.close();
    const importing = lab.import('busybox', `docker://${gone.host}/thing:1`, HTTP);
    await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
  });

  it.each(['manifest', 'layer'])('fails the import if its %s never comes', async (what) => {
    const before = lab.state();
    const layer = (response: ServerResponse) => response.write(LAYER.subarray(0, 100_000));
    const silent = await startLiar((request, response) => {
      response.on('error', () => undefined);
      const url = request.url ?? '';
      const isSilent = what === 'manifest' && url.includes('/manifests/');
      if (!isSilent) answer({ code: '', layer }, url, response);
    });
    try {
      const importing = lab.import('busybox', `docker://${silent.host}/thing:1`, {
        ...HTTP,
        silenceMs: 2_000,
      });
      await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_REGISTRY_FAILED' });
    } finally {
      await silent.close();
    }
    expect(lab.state()).toEqual(before);
  });

  it('gets no more requests after the caller cancels', async () => {
    const before = lab.state();
    const stop = new AbortController();
    const silent = await startLiar((request, response) => {
      if (request.url === '/v2/') response.end('{}');
      else stop.abort();
    });
    try {
      const importing = lab.import('busybox', `docker://${silent.host}/thing:1`, {
        ...HTTP,
        signal: stop.signal,
      });
      await expect(importing).rejects.toMatchObject({ code: 'ERR_STACKSHIM_BUILD_ABORTED' });
    } finally {
      await silent.close();
    }
    expect(lab.state()).toEqual(before);
  });
});
