/** docs/task-spec.md, docs/policy.md and bundles/README.md match the code. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CONFIG_FILE, PAYLOAD_FILE, TASK_DIR } from '../../src/oci/build-mounts.ts';
import { loadTemplate } from '../../src/oci/load-template.ts';
import { parsePolicy } from '../../src/spec/parse-policy.ts';
import { readTaskInput } from '../../src/spec/parse-task-spec.ts';
import { DEFAULT_POLICY } from '../../src/spec/policy.ts';
import { POLICY_FIELDS, POLICY_SECTIONS } from '../../src/spec/policy-input.ts';
import { SPEC_BOUNDS } from '../../src/spec/spec-bounds.ts';
import { TASK_INPUT_FIELDS } from '../support/tasks/task-fields.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const taskSpec = read('docs/task-spec.md');
const policy = read('docs/policy.md');

function jsonBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) => json);
}

describe('docs/task-spec.md', () => {
  test('has a row for every field, and no other rows', () => {
    const table = taskSpec.slice(taskSpec.indexOf('## Fields'), taskSpec.indexOf('### Mounts'));
    const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field);
    expect([...rows].sort()).toEqual([...TASK_INPUT_FIELDS].sort());
  });

  test('says for every field who may set it, and lets no data set what belongs to the host', () => {
    const table = taskSpec.slice(taskSpec.indexOf('## Who sets what')).split('\n## ')[0] ?? '';
    const rows = [...table.matchAll(/^\| `(\w+)` \| (.+) \| (.+) \| (.+) \| (.+) \|$/gm)];
    expect(rows.map(([, field]) => field).sort()).toEqual([...TASK_INPUT_FIELDS].sort());
    const forbidden = rows.flatMap(([, field, , , queue]) =>
      queue?.startsWith('no: ') ? [field] : [],
    );
    expect(forbidden).toEqual(
      expect.arrayContaining([
        ...['mounts', 'volumes', 'tmpfs', 'devices', 'capAdd', 'capDrop', 'securityOpt', 'bundle'],
        ...['network', 'userns', 'pid', 'payloadFile', 'configFile', 'runtime'],
        ...['deviceReadBps', 'deviceWriteBps', 'deviceReadIops', 'deviceWriteIops'],
      ]),
    );
    // Limits, whoever sets them; fields without a limit are boolean.
    const unbounded = rows.flatMap(([, field, , , , bound]) => (bound === '–' ? [field] : []));
    expect(unbounded).toEqual(['tty', 'interactive']);
    // Named rules are rules of the policy.
    const named = rows.flatMap(([, , rule = '']) =>
      [...rule.matchAll(/`((?:maxima|allow)\.\w+)`/g)].map(([, name = '']) => name),
    );
    for (const name of named) {
      const [section = '', key = ''] = name.split('.');
      expect(Object.keys(Reflect.get(POLICY_SECTIONS, section))).toContain(key);
    }
  });

  test('states the limits in the code', () => {
    const thousands = (bound: number) => bound.toLocaleString('en-US');
    const named = [
      SPEC_BOUNDS.commandElements,
      SPEC_BOUNDS.argumentBytes,
      SPEC_BOUNDS.envEntries,
      SPEC_BOUNDS.pathBytes,
      SPEC_BOUNDS.pidsMax,
      SPEC_BOUNDS.labelValueChars,
      SPEC_BOUNDS.optionChars,
    ];
    for (const bound of named) expect(taskSpec).toContain(thousands(bound));
    expect(SPEC_BOUNDS).toMatchObject({
      envNameChars: 255,
      mounts: 64,
      tmpfs: 64,
      ulimits: 32,
      labels: 128,
      labelKeyChars: 128,
      payloadBytes: 16 * 1024 ** 2,
      captureBytesMax: 64 * 1024 ** 2,
      memoryBytesMin: 4 * 1024 ** 2,
      cpusMin: 0.01,
      diskBytesMin: 1024 ** 2,
      diskBytesMax: 8 * 1024 ** 4,
      timeoutMsMax: 30 * 86_400_000,
      stopTimeoutMsMax: 3_600_000,
    });
  });

  test('names the documented paths and variables', () => {
    expect([TASK_DIR, PAYLOAD_FILE, CONFIG_FILE]).toEqual([
      '/task',
      '/run/stackshim/payload',
      '/run/stackshim/config',
    ]);
    for (const name of [
      'TASK_ID',
      'TASK_DIR',
      'PAYLOAD_FILE',
      'CONFIG_FILE',
      'TASK_TIMEOUT',
      'TASK_MEMORY',
    ]) {
      expect(taskSpec).toContain(`| \`${name}\` |`);
    }
  });

  test('has valid examples', () => {
    const [task = '', mounts = ''] = jsonBlocks(taskSpec);
    readTaskInput(JSON.parse(task));
    const listed = mounts
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    readTaskInput({ stack: 's', mounts: listed });
    expect(listed).toHaveLength(2);
  });
});

describe('docs/policy.md', () => {
  test('has a row for every field, and no other rows', () => {
    const fields = Object.entries(POLICY_SECTIONS).flatMap(([section, readers]) =>
      Object.keys(readers).map((key) => `${section}.${key}`),
    );
    const named =
      /`((?:defaults|maxima|allow|reserves|tenantDefault|disk|reports|worker|builds|jobs|binds)\.\w+)`/g;
    const rows = [...policy.matchAll(named)].map(([, field]) => field);
    expect([...new Set(rows)].sort()).toEqual(fields.sort());
    const others = POLICY_FIELDS.filter((key) => !(key in POLICY_SECTIONS));
    for (const field of others) expect(policy).toContain(`| \`${field}\` |`);
    expect(others).toEqual(['slots', 'tenants']);
  });

  test('has a valid example, and the defaults in the code', () => {
    const [example = ''] = jsonBlocks(policy);
    parsePolicy(JSON.parse(example));
    expect(DEFAULT_POLICY.defaults).toEqual({
      memoryBytes: 512 * 1024 ** 2,
      cpus: 1,
      pids: 256,
      timeoutMs: 3_600_000,
      stopTimeoutMs: 10_000,
      outputBytes: 64 * 1024 ** 2,
      diskBytes: 1024 ** 3,
      takenBytes: 1024 ** 3,
      takenEntries: 100_000,
      buildTimeoutMs: 600_000,
      buildMemoryBytes: 2 * 1024 ** 3,
      buildDiskBytes: 2 * 1024 ** 3,
    });
  });

  test('has the maxima of resource limits', () => {
    const maxima: Record<string, number> = {};
    for (const [, types = '', most] of policy.matchAll(/^\| (`[a-z`, ]+`) \| (\d+) \|/gm)) {
      for (const type of types.replaceAll('`', '').split(', ')) {
        maxima[`RLIMIT_${type.toUpperCase()}`] = Number(most);
      }
    }
    expect(maxima).toEqual(DEFAULT_POLICY.ulimitMaxima);
  });
});

test('bundles/README.md explains every capability of the default template', () => {
  const readme = read('bundles/README.md');
  const { process } = loadTemplate('default').config;
  for (const capability of process.capabilities.bounding) {
    expect(readme).toContain(`\`${capability.slice('CAP_'.length)}\``);
  }
  expect(process.capabilities.effective).toEqual(process.capabilities.bounding);
  expect(process.capabilities.permitted).toEqual(process.capabilities.bounding);
});
