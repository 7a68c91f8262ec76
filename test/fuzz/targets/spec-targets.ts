/** Parsers of what callers and operators write: tasks, options, the policy. */
import { expect } from 'vitest';
import { parseTaskId } from '../../../src/core/ids.ts';
import {
  parseImageReference,
  parsePushName,
} from '../../../src/exchange/registry/image-reference.ts';
import { parseUlimit } from '../../../src/spec/limits.ts';
import { parseSecurityOpts } from '../../../src/spec/parse-access.ts';
import {
  parseCapability,
  parseStackReference,
  parseUser,
} from '../../../src/spec/parse-command.ts';
import {
  parseEnvEntries,
  parseEnvFile,
  parseLabelEntries,
} from '../../../src/spec/parse-entries.ts';
import {
  parseDevices,
  parseMounts,
  parseTmpfsOption,
  parseVolumeOption,
} from '../../../src/spec/parse-mounts.ts';
import { parsePolicy } from '../../../src/spec/parse-policy.ts';
import { parseBytes, parseCount, parseCpus, parseDuration } from '../../../src/spec/quantities.ts';
import { parseSeccompProfile } from '../../../src/spec/seccomp-profile.ts';
import { readPolicy } from '../../../src/task/installation.ts';
import { parseTaskSpec } from '../../support/parse-task-spec.ts';
import { requireAgreement } from '../../support/tasks/job-agreement.ts';
import { TASK_INPUT_FIELDS } from '../../support/tasks/task-fields.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';

const hex = 'a'.repeat(64);

const tasks = [
  { stack: 'python-3.13', command: ['true'] },
  {
    stack: 'python-3.13@rev:4',
    command: ['python3', '-c', 'print(1)'],
    id: 'task-1',
    env: { A: '1', B: '' },
    memory: '256m',
    cpus: '0.5',
    pidsLimit: 64,
    ulimits: ['nofile=1024:2048', 'core=0'],
    timeout: '1m30s',
    stopTimeout: 500,
    outputLimit: '64m',
    captureBytes: 1024,
    workdir: '/task',
    user: 'user:staff',
    hostname: 'box-1',
    mounts: [
      { type: 'bind', source: '/srv/a', target: '/data', readonly: true },
      { type: 'tmpfs', target: '/t', size: '16m', mode: '1777', exec: true },
      'type=bind,source=/srv/b,target=/b',
    ],
    volumes: ['/srv/c:/c:ro'],
    tmpfs: ['/x:size=1m'],
    readOnly: true,
    network: 'host',
    capAdd: ['NET_RAW'],
    capDrop: ['ALL'],
    securityOpt: ['seccomp=/etc/profile.json', 'no-new-privileges'],
    userns: 'auto',
    init: true,
    labels: { job: '42' },
    tty: false,
    interactive: true,
    runtime: 'runc',
    bundle: 'default',
    code: './app',
    payload: '{"a":1}',
    configFile: '/etc/config.json',
    keep: false,
    remove: 'async',
    tenant: 'acme',
    cpuTime: '30s',
    cpuShares: 512,
    deviceWriteBps: ['/dev/sda:1m'],
    devices: ['/dev/fuse', '/dev/sdb:/dev/disk:r'],
    pid: 'private',
    oomGroup: true,
  },
];

const jobs = [
  {
    ...{ stack: 'python-3.13', command: ['a', ''], entrypoint: '/init', env: { A: '1' } },
    ...{ memory: '256m', cpus: 0.5, timeout: '1m30s', disk: 8_388_608, ulimits: ['core=0:1'] },
    ...{ user: 'a:b', workdir: '/srv', labels: { job: '42' }, stopSignal: 'INT', init: true },
  },
];

/** Text that is not JSON is not compared. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
}

const policies = [
  {},
  {
    defaults: {
      ...{ memory: '512m', cpus: 1, pids: 256, timeout: '1h', output: '64m', cpuTime: '30m' },
      ...{ cpuShares: 512, deviceReadBps: ['/dev/sda:10m'], deviceWriteIops: ['/dev/sda:100'] },
    },
    maxima: { memory: '4g', cpus: '4', pids: 4096, timeout: '24h', output: '1g' },
    allow: {
      bundles: ['default'],
      runtimes: ['runc', '/opt/runc'],
      bindSources: ['/srv'],
      devices: ['/dev/dri'],
      networks: ['none'],
      userns: ['auto'],
      capAdd: ['NET_RAW'],
      seccomp: ['bundle', 'file'],
      newPrivileges: false,
      exec: ['caller', 'job'],
      pid: ['private'],
    },
    slots: 64,
    reserves: { memory: '1g', disk: '5g' },
    tenants: { acme: { weight: 2, cpus: 1.5, memory: '2g', maxTasks: 8 } },
    tenantDefault: { weight: 1 },
  },
];

const profile = {
  defaultAction: 'SCMP_ACT_ERRNO',
  defaultErrnoRet: 1,
  architectures: ['SCMP_ARCH_X86_64'],
  archMap: null,
  syscalls: [
    { names: ['read', 'write'], action: 'SCMP_ACT_ALLOW' },
    {
      names: ['personality'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 8, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
      includes: { caps: ['CAP_SYS_ADMIN'], arches: ['amd64'] },
      excludes: { caps: ['CAP_SYS_CHROOT'] },
      comment: 'why',
    },
    { name: 'mount', action: 'SCMP_ACT_ERRNO', errnoRet: 38, args: null },
  ],
};

const optionWords = ['type=', 'bind', 'tmpfs', 'source=', 'target=', 'src=', 'dst=', 'readonly'];
const wholeNumber = (value: number) => expect(Number.isSafeInteger(value)).toBe(true);

const quantities: readonly FuzzTarget[] = [
  {
    name: 'bytes',
    form: 'text',
    samples: ['0', '256m', '1.5g', '64 KiB', '16b', '4tb', '9007199254740991'],
    words: ['k', 'm', 'g', 't', 'kb', 'KiB', ' '],
    run: (text) => wholeNumber(parseBytes(text, 'memory', { min: 0 })),
  },
  {
    name: 'durations',
    form: 'text',
    samples: ['500ms', '60s', '1m30s', '2h', '1.5', '0'],
    words: ['ms', 's', 'm', 'h'],
    run: (text) => wholeNumber(parseDuration(text, 'timeout', { min: 0, max: 1e12 })),
  },
  {
    name: 'numbers',
    form: 'text',
    samples: ['1', '12', '4096', '0.5', '2.25'],
    run(text) {
      expect(parseCpus(text, 'cpus')).toBeGreaterThan(0);
      if (!text.includes('.')) wholeNumber(parseCount(text, 'pids', { min: 1, max: 4_194_304 }));
    },
  },
];

const options: readonly FuzzTarget[] = [
  {
    name: 'mount options',
    form: 'text',
    samples: [
      'type=bind,source=/a,target=/b,readonly',
      'type=bind,src=/a/../b,dst=/c,ro=false',
      'type=tmpfs,target=/t,tmpfs-size=16m,tmpfs-mode=1777',
    ],
    words: [...optionWords, 'tmpfs-size=', 'tmpfs-mode=', ','],
    run: (text) => parseMounts({ mounts: [text] }),
  },
  {
    name: 'volume options',
    form: 'text',
    samples: ['/a:/b', '/a/b:/c:ro', '/a:/b/../c:rw'],
    words: ['ro', 'rw', ':', '/proc', '/sys', '/dev'],
    run: (text) => parseVolumeOption(text, 'volumes[0]'),
  },
  {
    name: 'device options',
    form: 'text',
    samples: ['/dev/fuse', '/dev/sdb:r', '/dev/a:/dev/b', '/dev/../dev/a:/dev/b/c:rw'],
    words: [':', 'r', 'w', 'm', '/dev', '/dev/null', '..'],
    run(text) {
      for (const { target } of parseDevices([text])) expect(target).toMatch(/^\/dev\/./s);
    },
  },
  {
    name: 'tmpfs options',
    form: 'text',
    samples: ['/t', '/t:size=16m,mode=1777,exec', '/t:noexec,nosuid,nodev,rw'],
    words: ['size=', 'mode=', 'exec', ':', ','],
    run: (text) => parseTmpfsOption(text, 'tmpfs[0]'),
  },
  {
    name: 'env entries',
    form: 'text',
    samples: ['A=1', 'A=1\u0001B=2\u0001CALLER', 'LONG='.padEnd(500, 'x')],
    words: ['=', 'CALLER', '\u0001', '__proto__=1', 'constructor=1'],
    run: (text) => parseEnvEntries(text.split('\u0001'), { CALLER: 'value' }),
  },
  {
    name: 'env files',
    form: 'text',
    samples: ['A=1\nB=two words\n\n# comment\nCALLER\n', '\ufeffA=b=c\r\nD=\n'],
    words: ['=', '#', '\n', '\r\n', 'CALLER', '__proto__=1'],
    run: (text) => parseEnvFile(text, { CALLER: 'value' }),
  },
  {
    name: 'labels',
    form: 'text',
    samples: ['job=42', 'a/b.c-d=', 'a\u0001b=c\u0001d'],
    words: ['=', '\u0001', '__proto__=1', 'constructor'],
    run: (text) => parseLabelEntries(text.split('\u0001')),
  },
  {
    name: 'ulimits',
    form: 'text',
    samples: ['nofile=1024:2048', 'core=0', 'cpu=1:1', 'nproc=-1'],
    words: ['nofile', 'core', '=', ':', '-1', 'unlimited'],
    run: (text) => parseUlimit(text, 'ulimits[0]'),
  },
  {
    name: 'users',
    form: 'text',
    samples: ['root', 'user:staff', '1000:1000', '65534'],
    words: [':'],
    run: (text) => parseUser(text, 'user'),
  },
  {
    name: 'stack references',
    form: 'text',
    samples: ['python-3.13', 'ruby-3.3@rev:4', `java-21@sha256:${hex}`],
    words: ['@', 'rev:', 'sha256:'],
    run: (text) => parseStackReference(text, 'stack'),
  },
  {
    name: 'security options and capabilities',
    form: 'text',
    samples: ['seccomp=unconfined', 'seccomp=/a/b.json', 'no-new-privileges=false', 'NET_RAW'],
    words: ['seccomp=', 'no-new-privileges', 'CAP_', 'ALL', '='],
    run(text) {
      return text.includes('=')
        ? parseSecurityOpts([text], 'securityOpt')
        : parseCapability(text, 'capAdd[0]');
    },
  },
  {
    name: 'task ids',
    form: 'text',
    samples: ['t1', 'A.b_c-d', 'x'.repeat(64)],
    run: parseTaskId,
  },
  {
    name: 'image references',
    form: 'text',
    samples: [
      'oci:/srv/layout:latest',
      'docker-archive:./a.tar',
      `docker://registry.example:5000/team/app:1.0@sha256:${hex}`,
    ],
    words: ['oci:', 'oci-archive:', 'docker-archive:', 'docker://', ':', '@sha256:', '--'],
    run: parseImageReference,
  },
  {
    name: 'names to push to',
    form: 'text',
    samples: ['docker://registry.example:5000/team/app:1.0', 'docker://localhost/app'],
    words: ['docker://', ':', '/', '@sha256:', '--'],
    run: parsePushName,
  },
];

export const specTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  {
    name: 'task specs',
    form: 'value',
    weight: 4,
    samples: tasks,
    words: TASK_INPUT_FIELDS,
    run: parseTaskSpec,
  },
  {
    name: 'data from a queue, read and held against its schema',
    form: 'document',
    weight: 2,
    samples: jobs,
    words: TASK_INPUT_FIELDS,
    run(bytes) {
      const error = requireAgreement(parseJson(bytes));
      if (error !== undefined) throw error;
    },
  },
  { name: 'policies', form: 'value', weight: 2, samples: policies, run: parsePolicy },
  {
    name: 'policy files',
    form: 'document',
    samples: policies,
    run: (bytes) => readPolicy({ policyFile: files.write('policy.json', bytes) }),
  },
  {
    name: 'seccomp profiles',
    form: 'value',
    weight: 2,
    samples: [profile, { defaultAction: 'SCMP_ACT_ALLOW' }],
    words: ['SCMP_ACT_NOTIFY', 'SCMP_ACT_TRACE', 'minKernel', 'includes', 'args'],
    run: parseSeccompProfile,
  },
  ...quantities,
  ...options,
];
