/** The health endpoint, asked by real HTTP on sockets and ports. */
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HealthAddress, parseHealthAddress } from '../../../src/worker/ops/health-address.ts';
import { serveHealth } from '../../../src/worker/ops/serve-health.ts';
import type { WorkerStatus } from '../../../src/worker/worker-events.ts';
import { workerStatus as status } from '../support/worker-status.ts';

let folder: string;
let server: Awaited<ReturnType<typeof serveHealth>> | undefined;

beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/stackshim-health-`);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

interface Reply {
  readonly code: number | undefined;
  readonly body: unknown;
}

function ask(address: HealthAddress, path: string, method = 'GET'): Promise<Reply> {
  const to =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: address.host, port: address.port };
  return new Promise((resolve, reject) => {
    const onResponse = async (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString();
      resolve({ code: response.statusCode, body: text === '' ? null : JSON.parse(text) });
    };
    request({ ...to, path, method }, (response) => onResponse(response).catch(reject))
      .on('error', reject)
      .end();
  });
}

const socket = () => ({ kind: 'unix', path: `${folder}/health` }) as const;
const port = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

describe('on a socket', () => {
  it('answers for its owner alone', async () => {
    server = await serveHealth(socket(), () => status);
    expect(server.shown).toBe(socket().path);
    expect(statSync(socket().path).mode & 0o777).toBe(0o600);
    expect(await ask(socket(), '/healthz')).toEqual({ code: 200, body: { status: 'alive' } });
    expect(await ask(socket(), '/readyz?verbose')).toEqual({
      code: 200,
      body: { status: 'ready' },
    });
    expect(await ask(socket(), '/status')).toEqual({ code: 200, body: status });
    expect(await ask(socket(), '/')).toMatchObject({ code: 404 });
    expect(await ask(socket(), '/healthz', 'POST')).toMatchObject({ code: 405 });
    expect(await ask(socket(), '/healthz', 'HEAD')).toEqual({ code: 200, body: null });
  });

  it('says what keeps the worker from taking jobs', async () => {
    let now: WorkerStatus | undefined;
    server = await serveHealth(socket(), () => now);
    const readiness = () => ask(socket(), '/readyz');
    const missing = (...names: readonly string[]) => ({
      code: 503,
      body: { status: 'not ready', missing: names },
    });
    expect(await readiness()).toEqual(missing('start'));
    expect(await ask(socket(), '/status')).toMatchObject({ code: 503 });
    now = { ...status, isTaking: false };
    expect(await readiness()).toEqual(missing('taking'));
    now = { ...status, isStoreReachable: false, isGuardAlive: false };
    expect(await readiness()).toEqual(missing('store', 'guard'));
    expect(await ask(socket(), '/healthz')).toMatchObject({ code: 200 });
  });

  it('replaces the socket of a dead worker, and no other', async () => {
    server = await serveHealth(socket(), () => status);
    await expect(serveHealth(socket(), () => status)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SYSTEM',
      message: expect.stringContaining('another process listens there'),
    });
    await server.close();
    await leaveDeadSocket(socket().path);
    server = await serveHealth(socket(), () => status);
    expect(await ask(socket(), '/healthz')).toMatchObject({ code: 200 });
    await server.close();
    server = undefined;
    writeFileSync(socket().path, 'mine');
    await expect(serveHealth(socket(), () => status)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SYSTEM',
    });
  });

  it('makes its folder, which nobody else can enter', async () => {
    const address = { kind: 'unix', path: `${folder}/worker/mail/health` } as const;
    server = await serveHealth(address, () => status);
    for (const made of [`${folder}/worker`, `${folder}/worker/mail`])
      expect(statSync(made).mode & 0o777).toBe(0o700);
    expect(await ask(address, '/healthz')).toMatchObject({ code: 200 });
  });

  it('is not opened below a file, nor in a folder that others could have made', async () => {
    writeFileSync(`${folder}/worker`, '');
    const address = { kind: 'unix', path: `${folder}/worker/health` } as const;
    await expect(serveHealth(address, () => status)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_SYSTEM',
      message: expect.stringContaining(address.path),
    });
    const shared = { kind: 'unix', path: `${tmpdir()}/stackshim-${process.pid}/health` } as const;
    await expect(serveHealth(shared, () => status)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_PATH_UNTRUSTED',
    });
  });

  it('is not opened where others may write', async () => {
    chmodSync(folder, 0o777);
    await expect(serveHealth(socket(), () => status)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_PATH_UNTRUSTED',
    });
  });
});

describe('on a port', () => {
  it('answers on loopback', async () => {
    server = await serveHealth(port, () => status);
    const address = parseHealthAddress(server.shown, { isPublicAllowed: false });
    expect(await ask(address, '/healthz')).toMatchObject({ code: 200 });
  });

  it('ends requests that are too large or no HTTP', async () => {
    server = await serveHealth(port, () => status);
    const at = Number(server.shown.split(':')[1]);
    const replyTo = (text: string) =>
      new Promise<string>((resolve, reject) => {
        let reply = '';
        const connection = connect(at, '127.0.0.1');
        connection.on('data', (chunk) => {
          reply += chunk;
        });
        connection.on('close', () => resolve(reply));
        connection.on('error', reject);
        connection.write(text);
      });
    expect(await replyTo(`GET / HTTP/1.1\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`)).toContain('431');
    expect(await replyTo('nonsense\r\n\r\n')).toContain('400');
    expect(await ask({ ...port, port: at }, '/healthz')).toMatchObject({ code: 200 });
  });
});

/** A socket file without a process, as a killed worker leaves it. */
async function leaveDeadSocket(path: string): Promise<void> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(`${path}.made`, resolve));
  const { renameSync } = await import('node:fs');
  renameSync(`${path}.made`, path);
  await new Promise((resolve) => listener.close(resolve));
}

describe('parseHealthAddress', () => {
  const parse = (text: string, isPublicAllowed = false) =>
    parseHealthAddress(text, { isPublicAllowed });

  it('takes sockets and addresses of this machine', () => {
    expect(parse('/run/stackshim/health')).toEqual({ kind: 'unix', path: '/run/stackshim/health' });
    expect(parse('9000')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 9000 });
    expect(parse('localhost:9000')).toMatchObject({ host: 'localhost' });
    expect(parse('[::1]:9000')).toEqual({ kind: 'tcp', host: '::1', port: 9000 });
  });

  it.each(['0.0.0.0:9000', '[::]:9000', 'example.org:80', '10.0.0.1:9000', '127.0.0.1.example:80'])(
    'refuses %s unless it is wanted',
    (text) => {
      expect(() => parse(text)).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_DENIED' }),
      );
      expect(parse(text, true)).toMatchObject({ kind: 'tcp' });
    },
  );

  it.each([
    '',
    'health',
    ':80',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '1:2:3',
    'a b:1',
    '/x\0',
    '/',
    `/${'x'.repeat(120)}`,
    '-1',
  ])('cannot read %j', (text) => {
    expect(() => parse(text, true)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
    );
  });
});
