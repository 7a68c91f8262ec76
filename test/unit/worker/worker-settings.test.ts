/** The command line of `stackshim worker` as values. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkerLineOptions } from '../../../src/cli/define/define-worker.ts';
import { readStoreAddress } from '../../../src/cli/queues/store-address.ts';
import { toWorkerSettings } from '../../../src/cli/queues/worker-settings.ts';

const env = { STACKSHIM_STORE_URL: 'redis://127.0.0.1:1/0' };
const settings = (options: WorkerLineOptions, queues: readonly string[] = ['mail']) =>
  toWorkerSettings(queues, options, env);

describe('toWorkerSettings', () => {
  it('has the defaults that the help names', () => {
    expect(settings({})).toEqual({
      queues: [{ name: 'mail', weight: 1 }],
      store: env.STACKSHIM_STORE_URL,
      concurrency: undefined,
      drainMs: 30_000,
      lockMs: 30_000,
      logs: 'job',
      artefacts: undefined,
      registry: undefined,
      missingMs: 600_000,
      keepResultsMs: 7 * 24 * 3_600_000,
      health: undefined,
      logLevel: 'info',
      warnings: [],
    });
  });

  it('takes every option', () => {
    const options = {
      store: 'postgres://u@h/db',
      concurrency: '64',
      drain: '1h30m',
      lock: '10s',
      logs: 'logs',
      artefacts: '/srv/artefacts/',
      registry: 'r.example.org:5000/jobs',
      tlsVerify: 'false',
      authfile: '/etc/auth.json',
      missing: '1m',
      keepResults: '36h',
      health: '/run/health',
      logLevel: 'debug',
    };
    expect(settings(options, ['a=4', 'b'])).toEqual({
      queues: [
        { name: 'a', weight: 4 },
        { name: 'b', weight: 1 },
      ],
      store: 'postgres://u@h/db',
      concurrency: 64,
      drainMs: 5_400_000,
      lockMs: 10_000,
      logs: `${process.cwd()}/logs`,
      artefacts: '/srv/artefacts',
      registry: {
        prefix: 'r.example.org:5000/jobs',
        tlsVerify: false,
        authFile: '/etc/auth.json',
      },
      missingMs: 60_000,
      keepResultsMs: 36 * 3_600_000,
      health: { kind: 'unix', path: '/run/health' },
      logLevel: 'debug',
      warnings: [],
    });
  });

  it.each<[WorkerLineOptions, string]>([
    [{ concurrency: '0' }, 'concurrency'],
    [{ concurrency: 'many' }, 'concurrency'],
    [{ drain: '-1s' }, 'drain'],
    [{ drain: '25h' }, 'drain'],
    [{ lock: '4s' }, 'lock'],
    [{ keepResults: '0d' }, 'keepResults'],
    [{ keepResults: '7 days' }, 'keepResults'],
    [{ logs: '' }, 'logs'],
    [{ artefacts: '\0' }, 'artefacts'],
    [{ registry: 'UPPER/x' }, 'registry'],
    [{ registry: 'host/../x' }, 'registry'],
    [{ registry: 'host', tlsVerify: 'no' }, 'tlsVerify'],
    [{ missing: 'soon' }, 'missing'],
    [{ health: 'everywhere' }, 'health'],
    [{ logLevel: 'silent' }, 'logLevel'],
  ])('refuses %j', (options, field) => {
    expect(() => settings(options)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: expect.objectContaining({ field }),
      }),
    );
  });

  it.each([
    [[]],
    [['a~b']],
    [['a', '']],
    [['../x']],
    [['a', 'a=2']],
    [['a=0']],
    [['a=101']],
    [['a=b']],
    [['a=1=1']],
    [['=']],
    [Array.from({ length: 1001 }, (_, n) => `q${n}`)],
  ])('refuses the queues %j', (queues) => {
    expect(() => settings({}, queues)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
    );
  });
});

describe('readStoreAddress', () => {
  let folder: string;
  const write = (name: string, text: string, mode = 0o600) => {
    writeFileSync(`${folder}/${name}`, text);
    chmodSync(`${folder}/${name}`, mode);
    return `${folder}/${name}`;
  };
  beforeAll(() => {
    folder = mkdtempSync(`${tmpdir()}/stackshim-password-`);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('puts the password of a file into the URL', () => {
    const storePasswordFile = write('password', 'a b/@:%é\n');
    const read = (store: string) => readStoreAddress({ store, storePasswordFile }, {});
    expect(read('redis://h:1/0')).toEqual({
      url: 'redis://:a%20b%2F%40%3A%25%C3%A9@h:1/0',
      warning: undefined,
    });
    expect(read('postgres://u@h/db').url).toBe('postgres://u:a%20b%2F%40%3A%25%C3%A9@h/db');
    const bySocket = new URL(read('postgres:///db?host=/run/postgresql').url);
    expect(bySocket.searchParams.get('password')).toBe('a b/@:%é');
  });

  it('takes the credential of the service manager, if there is one', () => {
    const CREDENTIALS_DIRECTORY = folder;
    expect(readStoreAddress({}, { ...env, CREDENTIALS_DIRECTORY }).url).toBe(
      env.STACKSHIM_STORE_URL,
    );
    write('stackshim-store-password', 'secret', 0o400);
    expect(readStoreAddress({}, { ...env, CREDENTIALS_DIRECTORY }).url).toBe(
      'redis://:secret@127.0.0.1:1/0',
    );
  });

  it.each(['redis://:secret@h', 'postgres://u:secret@h/db', 'postgres:///db?password=secret'])(
    'warns of the visible password in %s, and of none in the environment',
    (store) => {
      const { warning } = readStoreAddress({ store }, {});
      expect(warning).toContain('--store-password-file');
      expect(warning).not.toContain('secret');
      expect(readStoreAddress({}, { STACKSHIM_STORE_URL: store }).warning).toBeUndefined();
    },
  );

  it('needs a store', () => {
    for (const STACKSHIM_STORE_URL of ['', undefined]) {
      expect(() => readStoreAddress({}, { STACKSHIM_STORE_URL })).toThrow(
        expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' }),
      );
    }
  });

  it.each([
    ['empty', '', 0o600],
    ['two lines', 'a\nb\n', 0o600],
    ['readable by others', 'a', 0o644],
  ])('refuses a password file that is %s', (name, text, mode) => {
    const storePasswordFile = write(name, text, mode);
    expect(() => readStoreAddress({ storePasswordFile }, env)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: expect.objectContaining({ field: 'storePasswordFile' }),
      }),
    );
  });

  it('refuses a password file that does not exist', () => {
    expect(() => readStoreAddress({ storePasswordFile: `${folder}/none` }, env)).toThrow(
      expect.objectContaining({ code: 'ERR_STACKSHIM_INPUT_NOT_FOUND' }),
    );
  });

  it('leaves a URL that cannot be read to the store, which does not show it', () => {
    expect(readStoreAddress({ store: 'no url' }, {}).url).toBe('no url');
  });
});
