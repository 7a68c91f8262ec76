/** The small parsers: stack references, users, ulimits, capabilities, security options, seccomp profiles. */
import { describe, expect, test } from 'vitest';
import { parseUlimit } from '../../src/spec/limits.ts';
import { parseSecurityOpts } from '../../src/spec/parse-access.ts';
import { parseCapability, parseStackReference, parseUser } from '../../src/spec/parse-command.ts';
import { CAPABILITIES } from '../../src/spec/policy.ts';
import { parseSeccompProfile } from '../../src/spec/seccomp-profile.ts';

const invalid = expect.objectContaining({ code: 'ERR_STACKSHIM_SPEC_INVALID' });
const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('parseStackReference', () => {
  test('reads name, revision and digest', () => {
    expect(parseStackReference('python-3.13', 'stack')).toEqual({ name: 'python-3.13' });
    expect(parseStackReference('python-3.13@rev:3', 'stack')).toEqual({
      name: 'python-3.13',
      revision: 3,
    });
    expect(parseStackReference(`x@${digest}`, 'stack')).toEqual({ name: 'x', image: digest });
  });

  test.each([
    '',
    '@',
    'Python',
    'a/b',
    '../a',
    '-a',
    'a-',
    'a@',
    'a@rev:',
    'a@rev:0',
    'a@rev:-1',
    'a@rev:01',
    'a@rev:1.5',
    'a@rev:1@rev:2',
    'a@sha256:abc',
    `a@${digest.toUpperCase()}`,
    'a@latest',
    'a:1',
    'a'.repeat(64),
    'a\n',
    'a@rev:1\n',
  ])('refuses %j', (text) => {
    expect(() => parseStackReference(text, 'stack')).toThrow(invalid);
  });
});

describe('parseUser', () => {
  test.each(['root', '0', '1000:1000', 'www-data:www-data', '_apt', 'a.b', 'machine$'])(
    'reads %s',
    (user) => {
      expect(parseUser(user, 'user')).toBe(user);
    },
  );
  test.each(['', ':', 'a:', ':a', 'a:b:c', '-1', 'a b', 'a\n', 'a/b', 'x'.repeat(40)])(
    'refuses %j',
    (user) => {
      expect(() => parseUser(user, 'user')).toThrow(invalid);
    },
  );
});

describe('parseUlimit', () => {
  test.each([
    ['nofile=1024:2048', { type: 'RLIMIT_NOFILE', soft: 1024, hard: 2048 }],
    ['nproc=64', { type: 'RLIMIT_NPROC', soft: 64, hard: 64 }],
    ['core=0', { type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
    ['stack=8388608:-1', { type: 'RLIMIT_STACK', soft: 8_388_608, hard: Number.POSITIVE_INFINITY }],
    [
      'fsize=-1',
      { type: 'RLIMIT_FSIZE', soft: Number.POSITIVE_INFINITY, hard: Number.POSITIVE_INFINITY },
    ],
  ])('reads %s', (text, ulimit) => {
    expect(parseUlimit(text, 'ulimits[0]')).toEqual(ulimit);
  });

  test.each([
    '',
    'nofile',
    'nofile=',
    'nofile=a',
    'nofile=1:',
    'nofile=2:1',
    'nofile=-1:1',
    'nofile=-2',
    'NOFILE=1',
    'files=1',
    'nofile=1:2:3',
    'nofile=1.5',
    'nofile=1234567890123456',
    'constructor=1',
  ])('refuses %j', (text) => {
    expect(() => parseUlimit(text, 'ulimits[0]')).toThrow(invalid);
  });
});

describe('parseCapability', () => {
  test('accepts docker’s spellings', () => {
    expect(parseCapability('net_raw', 'capAdd')).toBe('CAP_NET_RAW');
    expect(parseCapability('CAP_SYS_PTRACE', 'capAdd')).toBe('CAP_SYS_PTRACE');
    expect(parseCapability('all', 'capAdd')).toBe('ALL');
    expect(CAPABILITIES).toHaveLength(41);
  });
  test.each(['', 'CAP_', 'CAP_ALL', 'CAP_CAP_CHOWN', 'ROOT', 'CHOWN '])('refuses %j', (text) => {
    expect(() => parseCapability(text, 'capAdd')).toThrow(invalid);
  });
});

describe('parseSecurityOpts', () => {
  test('reads each option, with = and with :', () => {
    expect(parseSecurityOpts([], 'securityOpt')).toEqual({ noNewPrivileges: true });
    expect(parseSecurityOpts(['seccomp=/p.json'], 's').seccomp).toBe('/p.json');
    expect(parseSecurityOpts(['seccomp:unconfined'], 's').seccomp).toBe('unconfined');
    expect(parseSecurityOpts(['no-new-privileges=false'], 's').noNewPrivileges).toBe(false);
    expect(
      parseSecurityOpts(['no-new-privileges=false', 'no-new-privileges'], 's').noNewPrivileges,
    ).toBe(true);
  });
  test.each([
    '',
    'seccomp',
    'seccomp=',
    'apparmor=x',
    'label=disable',
    'no-new-privileges=0',
    'seccomp=a\0',
  ])('refuses %j', (text) => {
    expect(() => parseSecurityOpts([text], 'securityOpt')).toThrow(invalid);
  });
});

describe('parseSeccompProfile', () => {
  test('reads docker’s form and the OCI form', () => {
    const profile = parseSeccompProfile({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      architectures: ['SCMP_ARCH_X86_64'],
      syscalls: [
        {
          names: ['read'],
          action: 'SCMP_ACT_ALLOW',
          args: null,
          comment: '',
          includes: {},
          excludes: {},
        },
        {
          name: 'bpf',
          action: 'SCMP_ACT_ALLOW',
          includes: { caps: ['CAP_BPF'], minKernel: '5.8' },
        },
        {
          names: ['clone'],
          action: 'SCMP_ACT_ALLOW',
          args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
        },
      ],
    });
    expect(profile.syscalls.map(({ names }) => names)).toEqual([['read'], ['bpf'], ['clone']]);
    expect(profile.syscalls[1]?.includes?.caps).toEqual(['CAP_BPF']);
    expect(profile.syscalls[2]?.args).toHaveLength(1);
  });

  const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
  test.each([
    null,
    [],
    {},
    { defaultAction: 'allow' },
    { defaultAction: 'SCMP_ACT_NOTIFY' },
    { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x' },
    { defaultAction: 'SCMP_ACT_ALLOW', flags: [] },
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...rule, action: 'SCMP_ACT_TRACE' }] },
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...rule, names: ['a b'] }] },
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...rule, errnoRet: -1 }] },
    {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ ...rule, args: [{ index: 6, value: 0, op: 'SCMP_CMP_EQ' }] }],
    },
    {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ ...rule, args: [{ index: 0, value: 0, op: 'EQ' }] }],
    },
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: Array.from({ length: 2049 }, () => rule) },
  ])('refuses %j', (profile) => {
    expect(() => parseSeccompProfile(profile)).toThrow(
      expect.objectContaining({
        code: 'ERR_STACKSHIM_SPEC_INVALID',
        details: { field: 'securityOpt' },
      }),
    );
  });
});
