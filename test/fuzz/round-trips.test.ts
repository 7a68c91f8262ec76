/** What one side writes, or a user types, the other side reads back. */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isImageDigest,
  isTaskId,
  type LayerId,
  type StackName,
  toTaskId,
} from '../../src/core/ids.ts';
import { layerRecordFile, layoutFrom, trustedKeysDir } from '../../src/core/layout.ts';
import { parseDocument } from '../../src/exchange/oci-image/oci-blobs.ts';
import { toOciConfig } from '../../src/exchange/oci-image/oci-documents.ts';
import { configSchema } from '../../src/exchange/oci-image/oci-schemas.ts';
import { toImageConfig } from '../../src/exchange/oci-image/read-oci-layout.ts';
import { parseImageReference } from '../../src/exchange/registry/image-reference.ts';
import { parseSavedIndex } from '../../src/exchange/saves/saved-index.ts';
import { signIndex, verifyIndex } from '../../src/exchange/saves/sign-index.ts';
import { parseWaitStatus } from '../../src/runtime/drivers/gvisor-sandbox.ts';
import { parseUlimit } from '../../src/spec/limits.ts';
import { parseStackReference } from '../../src/spec/parse-command.ts';
import { parseEnvEntries, parseEnvFile, parseLabelEntries } from '../../src/spec/parse-entries.ts';
import { parseMounts, parseVolumeOption } from '../../src/spec/parse-mounts.ts';
import { parseBytes, parseDuration } from '../../src/spec/quantities.ts';
import { readImage } from '../../src/store/images/image.ts';
import { writeImage } from '../../src/store/images/store-image.ts';
import { readLayerRecord, writeLayerRecord } from '../../src/store/layers/layer-record.ts';
import { parseRelease } from '../../src/store/stacks/release.ts';
import { parseMountinfo } from '../../src/sys/mountinfo.ts';
import { readRecord } from '../../src/task/records/read-record.ts';
import { createRecord, replaceRecord, type TaskRecord } from '../../src/task/records/record.ts';
import { namesOf, taskPlaces } from '../../src/task/records/task-places.ts';
import { isFullRun } from '../support/timing/full-run.ts';
import { useFuzzFiles } from './support/fuzz-files.ts';
import { configureProperties } from './support/fuzz-settings.ts';

configureProperties();

const files = useFuzzFiles();
const layout = layoutFrom({ root: `${files.folder}/lib`, run: `${files.folder}/run` }, {});

const hex = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const digest = hex.map((text) => `sha256:${text}`);
const word = fc.stringMatching(/^[a-z][a-z0-9]{0,12}$/);
const stackName = fc
  .array(word, { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('-') as StackName);
const number = fc.integer({ min: 1, max: 999_999_999 });
const line = fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !/[\0\r\n]/.test(text));
const pathName = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  .filter((text) => !/[\0/:,]/.test(text) && text !== '.' && text !== '..');
const absolute = fc
  .array(pathName, { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.join('/')}`);
const now = '2026-01-01T00:00:00.000Z';

describe('quantities are read as they are written:', () => {
  it('bytes in any unit', () => {
    const units = fc.constantFrom(['', 1], ['k', 1024], ['m', 1024 ** 2], [
      'g',
      1024 ** 3,
    ] as const);
    fc.assert(
      fc.property(fc.nat(8_000_000), units, (count, [unit, factor]) => {
        expect(parseBytes(`${count}${unit}`, 'f')).toBe(count * Number(factor));
      }),
    );
  });

  it('durations in any mixture of units', () => {
    const part = fc.nat(5000);
    fc.assert(
      fc.property(part, part, part, part, (h, m, s, ms) => {
        const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER };
        const whole = ((h * 60 + m) * 60 + s) * 1000 + ms;
        expect(parseDuration(`${h}h${m}m${s}s${ms}ms`, 'f', bounds)).toBe(whole);
        expect(parseDuration(whole, 'f', bounds)).toBe(whole);
      }),
    );
  });

  it('limits of processes', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(100_000), (one, other) => {
        const [soft, hard] = [Math.min(one, other), Math.max(one, other)];
        expect(parseUlimit(`nofile=${soft}:${hard}`, 'f')).toMatchObject({ soft, hard });
      }),
    );
  });
});

describe('options are read as they are written:', () => {
  const variables = fc.dictionary(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,20}$/), line);

  it('environment variables, as entries and as a file', () => {
    fc.assert(
      fc.property(variables, (env) => {
        const entries = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        expect(parseEnvEntries(entries, {})).toEqual({ ...env });
        expect(parseEnvFile(`# first\n${entries.join('\n')}\n\n`, {})).toEqual({ ...env });
      }),
    );
  });

  it('labels', () => {
    const labels = fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z0-9._/-]{0,20}$/), line);
    fc.assert(
      fc.property(labels, (given) => {
        const entries = Object.entries(given).map(([name, value]) => `${name}=${value}`);
        expect(parseLabelEntries(entries)).toEqual({ ...given });
      }),
    );
  });

  it('binds, as a volume and as a mount', () => {
    const target = absolute.map((path) => `/data${path}`);
    fc.assert(
      fc.property(absolute, target, fc.boolean(), (from, to, readOnly) => {
        const bind = { source: from, target: to, readOnly };
        expect(parseVolumeOption(`${from}:${to}:${readOnly ? 'ro' : 'rw'}`, 'f')).toEqual(bind);
        const option = `type=bind,target=${to},readonly=${readOnly},source=${from}`;
        expect(parseMounts({ mounts: [option] }).mounts).toEqual([bind]);
      }),
    );
  });

  it('references to stacks and images', () => {
    fc.assert(
      fc.property(stackName, number, digest, word, (name, revision, image, tag) => {
        expect(parseStackReference(`${name}@rev:${revision}`, 'f')).toEqual({ name, revision });
        expect(parseStackReference(`${name}@${image}`, 'f')).toEqual({ name, image });
        const path = `/srv/${name}`;
        expect(parseImageReference(`oci:${path}:${tag}`)).toEqual({ kind: 'oci', path, tag });
      }),
    );
  });

  it('task ids from any 13 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 13, maxLength: 13 }), (bytes) => {
        expect(isTaskId(toTaskId(bytes))).toBe(true);
      }),
    );
  });
});

describe('files are read as they are written:', () => {
  it('records', () => {
    const places = taskPlaces(layout, 't1' as Parameters<typeof taskPlaces>[1]);
    const record: fc.Arbitrary<TaskRecord> = fc.record({
      id: fc.constant(places.id),
      owner: fc.record({ pid: number, startTime: fc.nat(), bootId: fc.uuid() }),
      stack: stackName,
      revision: fc.nat(),
      image: digest.filter(isImageDigest),
      runtime: fc.record({
        kind: fc.constantFrom('runc' as const, 'crun', 'runsc', 'other'),
        path: absolute,
        version: line,
      }),
      bindCount: fc.nat(1024),
      command: fc.array(fc.string({ unit: 'binary' })),
      labels: fc.dictionary(word, line),
      createdAt: fc.constant(now),
      kept: fc.boolean(),
      disowned: fc.boolean(),
      names: fc.constant(namesOf(places)),
      slot: fc.nat(),
      exit: fc.record({
        exitCode: fc.oneof(fc.constant(null), fc.nat(255)),
        signal: fc.constantFrom(null, 'SIGKILL', 'SIGTERM', 'SIG34'),
        at: fc.constant(now),
      }),
    });
    createRecord(layout, places, fc.sample(record, 1)[0] as TaskRecord);
    fc.assert(
      fc.property(record, (written) => {
        replaceRecord(places, written);
        expect(readRecord(layout, places.id)).toEqual(toPlain(written));
      }),
    );
  });

  it('layer records and images', async () => {
    const layer = fc.record({
      version: fc.constant(1 as const),
      id: hex.map((text) => text as LayerId),
      sizeBytes: number,
      diffId: digest,
      mtimeCeiling: fc.oneof(fc.constant(null), fc.nat()),
      opaqueRoot: fc.boolean(),
      entries: fc.nat(),
      droppedDevices: fc.nat(),
      compression: fc.constant('lz4' as const),
      createdBy: fc.string({ maxLength: 200 }),
    });
    const config = fc.record({
      env: fc.array(line),
      entrypoint: fc.array(line),
      cmd: fc.array(line),
      workingDir: line,
      user: line,
      labels: fc.dictionary(word, line),
    });
    files.write('lib/layers/.keep', '');
    files.write('lib/images/.keep', '');
    await fc.assert(
      fc.asyncProperty(
        layer,
        digest.filter(isImageDigest),
        config,
        async (record, image, given) => {
          await writeLayerRecord(layout, record);
          expect(readLayerRecord(layout, record.id)).toEqual(record);
          expect(layerRecordFile(layout, record.id)).toContain(record.id);
          const { id: layerId, diffId } = record;
          const diffIds = [diffId];
          const written = {
            digest: image,
            layers: [layerId],
            diffIds,
            config: given,
            architecture: 'amd64',
          };
          await writeImage(layout, written);
          expect(readImage(layout, image)).toEqual(toPlain(written));
          const document = Buffer.from(toOciConfig(written, diffIds));
          const parsed = parseDocument(document, configSchema, 'config');
          expect(toImageConfig(parsed)).toEqual(toPlain(given));
          const index = {
            version: 1,
            createdAt: now,
            stacks: [{ stack: 'a', revision: 1, image }],
          };
          const saved = { ...index, images: [{ version: 1, ...written }], layers: [record] };
          expect(parseSavedIndex(Buffer.from(JSON.stringify(saved)))).toEqual(toPlain(saved));
        },
      ),
      { numRuns: isFullRun ? 500 : 60 },
    );
  });

  it('releases', () => {
    const stacks = fc.dictionary(stackName, fc.oneof(number, digest), { minKeys: 1, maxKeys: 20 });
    fc.assert(
      fc.property(stacks, (given) => {
        const release = parseRelease(JSON.stringify({ stacks: given }), 'f');
        expect(Object.fromEntries(release)).toEqual({ ...given });
      }),
    );
  });

  it('signatures hold only for the bytes that were signed', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    const folder = trustedKeysDir(layout).slice(files.folder.length + 1);
    files.write(`${folder}/a.pem`, publicKey.export({ type: 'spki', format: 'pem' }));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), async (index, other) => {
        const signature = Buffer.from(signIndex(index, privateKey));
        await verifyIndex(layout, index, signature);
        if (Buffer.compare(index, other) === 0) return;
        await expect(verifyIndex(layout, other, signature)).rejects.toMatchObject({
          code: 'ERR_STACKSHIM_SAVE_UNTRUSTED',
        });
      }),
      { numRuns: isFullRun ? 500 : 60 },
    );
  });

  it('the mount table, with any names in it', () => {
    const toKernelText = (text: string) =>
      text.replace(/[ \t\n\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
    fc.assert(
      fc.property(
        number,
        absolute,
        absolute,
        line.filter((text) => text !== ''),
        (id, root, at, from) => {
          const text = `${id} 1 8:1 ${toKernelText(root)} ${toKernelText(at)} rw - ext4 ${toKernelText(from)} rw\n`;
          expect(parseMountinfo(text)).toMatchObject([{ id, root, mountPoint: at, source: from }]);
        },
      ),
    );
  });

  it('wait statuses', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.integer({ min: 1, max: 126 }),
        fc.boolean(),
        (code, signal, core) => {
          expect(parseWaitStatus(code << 8)).toEqual({ exitCode: code, signal: null });
          expect(parseWaitStatus(signal | (core ? 0x80 : 0))).toEqual({ exitCode: null, signal });
        },
      ),
    );
  });
});

/** As JSON contains it: fast-check makes objects without a prototype. */
const toPlain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
