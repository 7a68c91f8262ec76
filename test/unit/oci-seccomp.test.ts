/** Seccomp profiles with conditions -> the rules of one task. */
import { describe, expect, test } from 'vitest';
import { buildSeccomp } from '../../src/oci/build-seccomp.ts';
import { loadTemplate } from '../../src/oci/load-template.ts';
import type { SeccompRule } from '../../src/spec/seccomp-profile.ts';

const allow = (names: string[], more: Partial<SeccompRule> = {}): SeccompRule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  ...more,
});
const build = (
  syscalls: SeccompRule[],
  capabilities: string[] = [],
  architecture: 'amd64' | 'arm64' = 'amd64',
) =>
  buildSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', syscalls }, { architecture, capabilities })
    .syscalls;
const equals = (value: number) => [{ index: 0, value, op: 'SCMP_CMP_EQ' }];

describe('buildSeccomp', () => {
  test('joins rules without arguments by their outcome', () => {
    expect(
      build([
        allow(['a', 'b']),
        allow(['c'], { args: equals(1) }),
        allow(['b', 'd'], { args: [] }),
        { names: ['e'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
        { names: ['f'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      ]),
    ).toEqual([
      { names: ['a', 'b', 'd'], action: 'SCMP_ACT_ALLOW' },
      { names: ['e'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
      { names: ['f'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
      { names: ['c'], action: 'SCMP_ACT_ALLOW', args: equals(1) },
    ]);
  });

  test('a rule for some arguments gives way to one for all', () => {
    expect(build([allow(['a', 'b'], { args: equals(1) }), allow(['a'])])).toEqual([
      { names: ['a'], action: 'SCMP_ACT_ALLOW' },
      { names: ['b'], action: 'SCMP_ACT_ALLOW', args: equals(1) },
    ]);
  });

  test('conditions on capabilities and architectures', () => {
    const rules = [
      allow(['both'], { includes: { caps: ['CAP_A', 'CAP_B'] } }),
      allow(['without'], { excludes: { caps: ['CAP_A'] } }),
      allow(['amd'], { includes: { arches: ['amd64', 'x32'] } }),
      allow(['notArm'], { excludes: { arches: ['arm64'] } }),
      allow(['any'], { includes: { arches: [], caps: [] }, excludes: {} }),
    ];
    const names = (capabilities: string[], architecture: 'amd64' | 'arm64') =>
      build(rules, capabilities, architecture).flatMap((rule) => rule.names);
    expect(names([], 'amd64')).toEqual(['without', 'amd', 'notArm', 'any']);
    expect(names(['CAP_A'], 'amd64')).toEqual(['amd', 'notArm', 'any']);
    expect(names(['CAP_A', 'CAP_B'], 'arm64')).toEqual(['both', 'any']);
  });

  test('only the native architecture', () => {
    const profile = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [] };
    const context = { capabilities: [] };
    expect(buildSeccomp(profile, { ...context, architecture: 'amd64' }).architectures).toEqual([
      'SCMP_ARCH_X86_64',
    ]);
    expect(buildSeccomp(profile, { ...context, architecture: 'arm64' }).architectures).toEqual([
      'SCMP_ARCH_AARCH64',
    ]);
  });
});

describe('the bundle’s profile', () => {
  const { seccomp } = loadTemplate('default');
  const rules = (capabilities: string[]) =>
    buildSeccomp(seccomp, { architecture: 'amd64', capabilities }).syscalls;

  test('names every call once, but for those with arguments or conditions', () => {
    const plain = seccomp.syscalls.filter(({ args, includes }) => !args && !includes);
    const names = plain.flatMap((rule) => rule.names);
    expect(new Set(names).size).toBe(names.length);
  });

  test('clone makes no namespace, clone3 does not exist, sockets are of few families', () => {
    const base = rules([]);
    expect(base).toContainEqual({
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
    });
    expect(base).toContainEqual({ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 });
    const families = base.filter(({ names }) => names.includes('socket'));
    expect(families.map(({ args }) => args?.[0]?.value)).toEqual([1, 2, 10, 16, 16]);
  });

  test.each([
    ['CAP_SYS_ADMIN', ['mount', 'umount2', 'unshare', 'setns', 'clone']],
    ['CAP_SYS_PTRACE', ['ptrace', 'process_vm_readv']],
    ['CAP_SYS_CHROOT', ['chroot']],
    ['CAP_DAC_READ_SEARCH', ['open_by_handle_at']],
  ])('%s opens its calls', (capability, calls) => {
    const open = (capabilities: string[]) =>
      rules(capabilities)
        .filter(({ args, action }) => action === 'SCMP_ACT_ALLOW' && args === undefined)
        .flatMap(({ names }) => names);
    for (const call of calls) {
      expect(open([])).not.toContain(call);
      expect(open([capability])).toContain(call);
    }
  });
});
