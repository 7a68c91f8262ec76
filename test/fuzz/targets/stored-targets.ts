/** Parsers of files that stackshim wrote itself, and that may have been changed since. */
import {
  isBuildKey,
  isImageDigest,
  isLayerId,
  isStackName,
  isTaskId,
} from '../../../src/core/ids.ts';
import {
  builtFile,
  layerRecordFile,
  layoutFrom,
  reportDir,
  tasksDir,
} from '../../../src/core/layout.ts';
import { clearStaleVersions } from '../../../src/runtime/learn-version.ts';
import { holdBuilt } from '../../../src/store/built/hold-built.ts';
import { imageFile, readImage } from '../../../src/store/images/image.ts';
import { imageNamesFile, readImageNames } from '../../../src/store/images/image-names.ts';
import { readLayerRecord } from '../../../src/store/layers/layer-record.ts';
import { readLastRemoved } from '../../../src/store/numbered-folder.ts';
import {
  generationFile,
  readGeneration,
  readGenerationAt,
} from '../../../src/store/stacks/generations.ts';
import { parseRelease } from '../../../src/store/stacks/release.ts';
import { readRevision, revisionFile, stackFolder } from '../../../src/store/stacks/revisions.ts';
import { ownerOfName } from '../../../src/sys/files.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { readRecord } from '../../../src/task/records/read-record.ts';
import { readTimeLimit } from '../../../src/task/records/read-time-limit.ts';
import { parseUnfinishedName } from '../../../src/task/records/record.ts';
import { taskPlaces } from '../../../src/task/records/task-places.ts';
import { FrameParser } from '../../../src/task/reports/log-frames.ts';
import { readEnd, readReport } from '../../../src/task/reports/report.ts';
import { reportPlaces } from '../../../src/task/reports/report-places.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';

const hex = 'ab'.repeat(32);
const digest = `sha256:${hex}`;
const now = '2026-01-01T00:00:00.000Z';

export const storedSamples = {
  record: {
    version: 1,
    id: 't1',
    owner: { pid: 100, startTime: 5000, bootId: '5f0c5e2c-0000-4000-8000-000000000000' },
    stack: 'busybox',
    revision: 1,
    image: digest,
    tenant: 'acme',
    runtime: { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.6' },
    bindCount: 2,
    command: ['sh', '-c', 'true'],
    labels: { job: '42' },
    createdAt: now,
    kept: false,
    disowned: false,
  },
  reportedTask: {
    version: 1,
    writtenBy: '0.1.0',
    id: 't1',
    owner: { pid: 100, startTime: 5000, bootId: '5f0c5e2c-0000-4000-8000-000000000000' },
    stack: 'busybox',
    revision: 1,
    image: digest,
    tenant: 'acme',
    origin: 'caller',
    command: ['true'],
    labels: { job: '42' },
    createdAt: now,
    spec: { log: true },
  },
  reportedEnd: {
    version: 1,
    writtenBy: '0.1.0',
    at: now,
    result: {
      id: 't1',
      verdict: 'failed',
      exitCode: 3,
      signal: null,
      error: null,
      usage: { wallMs: 3 },
      output: { stdoutBytes: 0 },
      removed: true,
      leftovers: [],
    },
    exit: { exitCode: 3, signal: null, at: now },
  },
  built: {
    version: 1,
    key: hex,
    tenant: null,
    stack: 'busybox',
    image: digest,
    command: ['/bin/sh', '-c', 'make'],
    task: 't1',
    bounds: { timeoutMs: 600_000, memoryBytes: 1024, diskBytes: 1024 },
    endedAt: now,
    parts: { code: { sha256: hex, sizeBytes: 4096 }, task: { sha256: hex, sizeBytes: 8192 } },
    failure: null,
  },
  failure: { verdict: 'failed', exitCode: 1, signal: null, reason: 'exit status 1' },
  recordNow: {
    version: 2,
    writtenBy: '0.1.0',
    id: 't1',
    owner: { pid: 100, startTime: 5000, bootId: '5f0c5e2c-0000-4000-8000-000000000000' },
    stack: 'busybox',
    revision: 1,
    image: digest,
    runtime: { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.6' },
    bindCount: 2,
    command: ['true'],
    labels: {},
    createdAt: now,
    kept: false,
    disowned: false,
    names: {
      cgroup: '/stackshim-00000000/task-t1',
      scratchDir: '/r/scratch/t1',
      volumeFile: '/r/scratch/.volume-t1',
      idleVolumeDir: '/run/volumes/t1',
      stateRoot: '/run/runtime',
    },
    slot: 3,
    diskMechanism: 'volume',
    loopDevice: 'loop0',
    diskDescriptor: 31,
    diskProject: 1_879_048_192,
    exit: { exitCode: 0, signal: null, at: now },
  },
  image: {
    version: 1,
    digest,
    layers: [hex],
    diffIds: [digest],
    config: {
      env: ['PATH=/bin'],
      entrypoint: [],
      cmd: ['sh'],
      workingDir: '/',
      user: '',
      labels: { 'io.stackshim.smoke': '["true"]' },
    },
    architecture: 'amd64',
  },
  revision: {
    version: 1,
    stack: 'busybox',
    revision: 3,
    image: digest,
    createdAt: now,
    source: {
      kind: 'build',
      directory: '/srv/busybox',
      inputHash: hex,
      base: { stack: 'debian-13', revision: 2 },
    },
  },
  generation: {
    version: 1,
    number: 7,
    createdAt: now,
    reason: 'build busybox',
    previous: 6,
    stacks: { busybox: 3, 'debian-13': 2 },
  },
  layer: {
    version: 1,
    id: hex,
    sizeBytes: 4096,
    diffId: digest,
    mtimeCeiling: 1_700_000_000,
    opaqueRoot: false,
    entries: 12,
    droppedDevices: 0,
    compression: 'lz4',
    createdBy: 'mkfs.erofs 1.8.6',
  },
} as const;

/** Names that are valid for their type. */
function checked<T extends string>(text: string, is: (text: string) => text is T): T {
  if (!is(text)) throw new Error(`${text} is none`);
  return text;
}

export function storedTargets(files: FuzzFiles): readonly FuzzTarget[] {
  const layout = layoutFrom(
    { root: `${files.folder}/root`, run: `${files.folder}/run`, policy: '/none' },
    {},
  );
  const put = (path: string, bytes: Buffer) =>
    files.write(path.slice(files.folder.length + 1), bytes);
  const [stack, task] = [checked('busybox', isStackName), checked('t1', isTaskId)];
  const [image, layer] = [checked(digest, isImageDigest), checked(hex, isLayerId)];
  const build = checked(hex, isBuildKey);
  const { record, recordNow, revision, generation } = storedSamples;
  return [
    {
      name: 'time limits',
      form: 'document',
      samples: [
        { version: 1, endsAtMs: 86_400_000, graceMs: 10_000 },
        {
          ...{ version: 2, endsAtMs: 86_400_000, graceMs: 10_000, begunAtMs: 1, deadlineMs: 2 },
          ...{ timeoutMs: 60_000, memoryBytes: 67_108_864, cpus: 0.5 },
        },
      ],
      words: ['version', 'endsAtMs', 'graceMs', 'begunAtMs', 'timeoutMs', 'cpus'],
      run(bytes) {
        const places = taskPlaces(layout, task);
        put(places.limitFile, bytes);
        return readTimeLimit(places);
      },
    },
    {
      name: 'records',
      form: 'document',
      weight: 2,
      samples: [
        record,
        { ...record, kept: true, runtime: { ...record.runtime, kind: 'runsc' } },
        recordNow,
      ],
      words: [...Object.keys(recordNow), ...Object.keys(recordNow.names)],
      run(bytes) {
        put(`${tasksDir(layout)}/${task}/record.json`, bytes);
        return readRecord(layout, task);
      },
    },
    {
      name: 'reports of tasks',
      form: 'document',
      samples: [storedSamples.reportedTask],
      words: Object.keys(storedSamples.reportedTask),
      run(bytes) {
        put(reportPlaces(reportDir(layout, task)).taskFile, bytes);
        return readReport(layout, task);
      },
    },
    {
      name: 'ends in reports',
      form: 'document',
      samples: [storedSamples.reportedEnd, { ...storedSamples.reportedEnd, result: null }],
      words: [
        ...Object.keys(storedSamples.reportedEnd),
        ...Object.keys(storedSamples.reportedEnd.result),
      ],
      run(bytes) {
        const places = reportPlaces(reportDir(layout, task));
        put(places.endFile, bytes);
        return readEnd(places);
      },
    },
    {
      name: 'logs of tasks',
      form: 'bytes',
      samples: [
        Buffer.from(`stdout ${now} 6\nhello\n\nstderr ${now} 3\nup \n`),
        Buffer.from(`stdout ${now} 0\n\nstdout ${now} 12\nshort`),
      ],
      words: ['stdout', 'stderr', now],
      run(bytes) {
        const frames = new FrameParser();
        const half = Math.floor(bytes.length / 2);
        return [...frames.push(bytes.subarray(0, half)), ...frames.push(bytes.subarray(half))];
      },
    },
    {
      name: 'image files',
      form: 'document',
      weight: 2,
      samples: [storedSamples.image],
      words: Object.keys(storedSamples.image),
      run(bytes) {
        put(imageFile(layout, image), bytes);
        return readImage(layout, image);
      },
    },
    {
      name: 'names of images',
      form: 'document',
      samples: [
        { version: 1, content: digest, others: [digest] },
        { version: 1, others: [] },
      ],
      words: ['version', 'content', 'others'],
      run(bytes) {
        put(imageNamesFile(layout, image), bytes);
        return readImageNames(layout, image);
      },
    },
    {
      name: 'revision files',
      form: 'document',
      samples: [revision, { ...revision, source: { kind: 'import', reference: 'oci:/srv/a' } }],
      words: Object.keys(revision),
      run(bytes) {
        put(revisionFile(layout, stack, 3), bytes);
        return readRevision(layout, stack, 3);
      },
    },
    {
      name: 'generation files',
      form: 'document',
      samples: [generation],
      words: Object.keys(generation),
      run(bytes) {
        put(generationFile(layout, 7), bytes);
        return readGeneration(layout, 7);
      },
    },
    {
      name: 'targets of current',
      form: 'text',
      samples: ['generations/7.json'],
      words: ['generations/', '.json', '../'],
      run(text) {
        put(generationFile(layout, 7), Buffer.from(JSON.stringify(generation)));
        return readGenerationAt(layout, text);
      },
    },
    {
      name: 'files of removed numbers',
      form: 'document',
      weight: 0.5,
      samples: [{ version: 1, last: 4 }],
      run(bytes) {
        put(`${layout.root}/stacks/${stack}/removed.json`, bytes);
        return readLastRemoved(stackFolder(layout, stack));
      },
    },
    {
      name: 'layer records',
      form: 'document',
      samples: [storedSamples.layer, { ...storedSamples.layer, mtimeCeiling: null }],
      words: Object.keys(storedSamples.layer),
      run(bytes) {
        put(layerRecordFile(layout, layer), bytes);
        return readLayerRecord(layout, layer);
      },
    },
    {
      name: 'records of cached builds',
      form: 'document',
      samples: [
        storedSamples.built,
        { ...storedSamples.built, tenant: 'acme', parts: null, failure: storedSamples.failure },
      ],
      words: Object.keys({ ...storedSamples.built, ...storedSamples.failure }),
      run(bytes) {
        put(builtFile(layout, build, 'json'), bytes);
        const held = holdBuilt({ system: linuxSystem, layout }, build, undefined);
        held?.release();
        return held?.record;
      },
    },
    {
      name: 'kept versions of runtimes',
      form: 'document',
      samples: [
        {
          fingerprint: { device: 1, inode: 2, size: 3, mtimeMs: 4.5 },
          runtime: { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.6' },
        },
      ],
      words: ['runsc', 'other', 'fingerprint'],
      run(bytes) {
        put(`${files.folder}/versions/1-2.json`, bytes);
        clearStaleVersions(`${files.folder}/versions`);
      },
    },
    {
      name: 'releases',
      form: 'document',
      samples: [{ stacks: { busybox: 3, 'python-3.13': digest } }],
      words: ['stacks', 'busybox'],
      run: (bytes) => parseRelease(bytes.toString('utf8'), 'release.json'),
    },
    {
      name: 'names of unfinished files',
      form: 'text',
      weight: 0.5,
      samples: ['.new-100-5000-t1', '100-5000-0123456789abcdef', 'a.100-5000-0123456789abcdef.tar'],
      run: (text) => [parseUnfinishedName(text), ownerOfName(text)],
    },
  ];
}
