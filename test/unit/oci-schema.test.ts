/** Every combination of options gives a configuration that the OCI runtime specification allows. */
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { toConfigJson } from '../../src/oci/build-process.ts';
import { ociConfigSchema } from '../fixtures/oci-runtime-spec.schema.ts';
import { buildConfig } from '../support/tasks/build-config.ts';
import { toConfigInput } from '../support/tasks/oci-config-input.ts';

const validate = new Ajv({ allErrors: true, strict: true }).compile(ociConfigSchema);

/** Alternatives of each option; the schema is checked with every combination. */
const options: readonly (readonly object[])[] = [
  [{}, { userns: 'host' }],
  [{}, { network: 'host' }],
  [{}, { init: true }],
  [{}, { tty: true, interactive: true }],
  [{}, { readOnly: true, hostname: 'h', workdir: '/srv' }],
  [
    {},
    { volumes: ['/a:/x:ro', '/b:/y'], tmpfs: ['/t', '/u:size=1m,mode=700,exec'], memory: '4m' },
    { ulimits: ['nofile=1:2', 'core=-1', 'stack=1:-1'], cpus: 0.01, pidsLimit: 1 },
  ],
  [{}, { capAdd: ['ALL'] }, { capDrop: ['ALL'] }, { capAdd: ['NET_RAW', 'SYS_PTRACE'] }],
  [{}, { securityOpt: ['seccomp=unconfined', 'no-new-privileges=false'] }],
];

function combine(lists: readonly (readonly object[])[]): object[] {
  return lists.reduce<object[]>(
    (made, list) => made.flatMap((task) => list.map((option) => ({ ...task, ...option }))),
    [{}],
  );
}

const users = [
  { uid: 0, gid: 0, additionalGids: [] },
  { uid: 65_534, gid: 65_534, additionalGids: [1, 50] },
];

test('every combination of options gives a valid configuration', () => {
  const tasks = combine(options);
  expect(tasks).toHaveLength(768);
  for (const task of tasks) {
    for (const user of users) {
      const json = toConfigJson(buildConfig(toConfigInput(task, { user })));
      expect(validate(JSON.parse(json)), JSON.stringify([task, validate.errors])).toBe(true);
    }
  }
});

test('both architectures and a caller’s profile give a valid configuration', () => {
  const seccompProfile = {
    defaultAction: 'SCMP_ACT_LOG',
    syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', errnoRet: undefined, args: undefined }],
  };
  for (const architecture of ['amd64', 'arm64'] as const) {
    const input = toConfigInput(
      { securityOpt: ['seccomp=/p'] },
      {
        host: { architecture, hardLimits: {}, oomScoreAdj: -500, thermalPaths: [] },
        seccompProfile,
      },
    );
    expect(
      validate(JSON.parse(toConfigJson(buildConfig(input)))),
      JSON.stringify(validate.errors),
    ).toBe(true);
  }
});

test('the schema refuses what the specification refuses', () => {
  const config = JSON.parse(toConfigJson(buildConfig(toConfigInput({}))));
  for (const broken of [
    { ...config, ociVersion: undefined },
    { ...config, annotation: {} },
    { ...config, process: { ...config.process, cwd: 'relative' } },
    { ...config, process: { ...config.process, args: [] } },
    { ...config, linux: { ...config.linux, namespaces: [{ type: 'net' }] } },
    { ...config, mounts: [{ destination: '/x' }] },
  ]) {
    expect(validate(JSON.parse(JSON.stringify(broken)))).toBe(false);
  }
});
