/** Seccomp profiles with conditions, and the rules for one task. */
import { describe, expect, test } from 'vitest';
import { buildSeccomp } from '../../src/oci/build-seccomp.ts';
import { loadTemplate } from '../../src/oci/load-template.ts';
import type { OciSeccompRule } from '../../src/oci/oci-config.ts';
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
  test('joins rules without arguments that have the same action', () => {
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

  test('drops a rule for some arguments if another rule allows all', () => {
    expect(build([allow(['a', 'b'], { args: equals(1) }), allow(['a'])])).toEqual([
      { names: ['a'], action: 'SCMP_ACT_ALLOW' },
      { names: ['b'], action: 'SCMP_ACT_ALLOW', args: equals(1) },
    ]);
  });

  test('applies conditions on capabilities and architectures', () => {
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

  test('lists only the native architecture', () => {
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

  test('names every call once, except calls with arguments or conditions', () => {
    const plain = seccomp.syscalls.filter(({ args, includes }) => !args && !includes);
    const names = plain.flatMap((rule) => rule.names);
    expect(new Set(names).size).toBe(names.length);
  });

  test('lets clone make no namespace, and hides clone3', () => {
    const base = rules([]);
    expect(base).toContainEqual({
      names: ['clone'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
    });
    expect(base).toContainEqual({
      names: ['clone3', 'syncfs'],
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 38,
    });
  });

  test.each([
    ['CAP_SYS_ADMIN', ['mount', 'umount2', 'unshare', 'setns', 'clone']],
    ['CAP_SYS_PTRACE', ['ptrace', 'process_vm_readv']],
    ['CAP_SYS_CHROOT', ['chroot']],
    ['CAP_DAC_READ_SEARCH', ['open_by_handle_at']],
  ])('allows the calls of %s', (capability, calls) => {
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

type Compared = readonly (readonly [index: number, mask: bigint, value: bigint])[];

/** How a rule compares: all 64 bits of an argument, like the kernel. */
function toCompared({ args = [] }: OciSeccompRule): Compared {
  return args.map(({ index, value, valueTwo = 0, op }) => {
    if (op !== 'SCMP_CMP_MASKED_EQ') throw new Error(`${op}: would look at bits that are dropped`);
    return [index, BigInt(value), BigInt(valueTwo)];
  });
}

test('the pairs of each exception match all values but those listed, in the bits that they compare', () => {
  const exceptions = loadTemplate('default').seccomp.syscalls.flatMap(({ except }) => except ?? []);
  expect(exceptions.length).toBeGreaterThan(4);
  for (const { values, others } of exceptions) {
    const bits = others.reduce((all, { mask }) => all | mask, 0);
    const wrong = Array.from({ length: bits + 1 }, (_, value) => value).filter((value) => {
      const isListed = values.some((one) => ((one ^ value) & bits) === 0);
      return others.some((pair) => (value & pair.mask) === pair.value) === isListed;
    });
    expect(wrong).toEqual([]);
  }
});

describe('arguments of the bundle’s profile', () => {
  const { seccomp } = loadTemplate('default');
  const all = (capabilities: string[]) =>
    buildSeccomp(seccomp, { architecture: 'amd64', capabilities }).syscalls;
  const known = new WeakMap<OciSeccompRule, Compared>();
  const comparedBy = (rule: OciSeccompRule) => {
    const found = known.get(rule) ?? toCompared(rule);
    known.set(rule, found);
    return found;
  };
  const plain = all([]);
  /** Returns `allow`, an errno, or `default`. With contradicting rules, the result would depend on the library that compiles them. */
  const answer = (name: string, call: readonly number[], rules = plain) => {
    const whole = call.map(BigInt);
    const found = rules.filter(
      (rule) =>
        rule.names.includes(name) &&
        comparedBy(rule).every(([index, mask, value]) => ((whole[index] ?? 0n) & mask) === value),
    );
    const answers = new Set(found.map(({ action, errnoRet }) => errnoRet ?? action));
    if (answers.size > 1) throw new Error(`${name}(${call}): ${[...answers]}`);
    const [said = 'default'] = answers;
    return said === 'SCMP_ACT_ALLOW' ? 'allow' : said;
  };
  /** Bits of an argument that the kernel ignores must not change the result. */
  const answers = (name: string, call: readonly number[], rules = plain) => {
    const said = answer(name, call, rules);
    for (const index of call.keys()) {
      const above = call.map((value, at) => (at === index ? value + 2 ** 32 : value));
      const other = answer(name, above, rules);
      if (other !== said) throw new Error(`${name}(${above}): ${other}, not ${said}`);
    }
    return said;
  };
  const upTo = (end: number) => Array.from({ length: end }, (_, value) => value);
  const [UNIX, INET, NETLINK, PACKET, INET6, STREAM, DATAGRAM, RAW] = [1, 2, 16, 17, 10, 1, 2, 3];
  const refused = (name: string, call: (value: number) => readonly number[], end: number) =>
    upTo(end).filter((value) => answers(name, call(value)) !== 'allow');

  test('deny socket options that attach programs or hold memory, and rare ones', () => {
    const SOCKET_LEVEL = 1;
    expect(refused('setsockopt', (option) => [3, SOCKET_LEVEL, option], 90)).toEqual([
      0, 1, 26, 27, 32, 33, 36, 37, 48, 49, 50, 51, 52, 53, 54, 55, 64, 65,
    ]);
    expect(refused('setsockopt', (option) => [3, 6, option], 48)).toEqual([
      14, 15, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
    ]);
    const ofIp = (option: number) => [3, 0, option];
    const unheard = [9, 11, 25, 27, 41, 43, 57, 59];
    expect(refused('setsockopt', ofIp, 70)).toEqual([...unheard, 64, 65, 66, 67, 68, 69]);
    expect(unheard.map((option) => answers('setsockopt', ofIp(option)))).toEqual(
      unheard.map(() => 0),
    );
    const admin = all(['CAP_NET_ADMIN']);
    expect([11, 64].map((option) => answers('setsockopt', ofIp(option), admin))).toEqual([
      0,
      'allow',
    ]);
    expect(upTo(300).filter((level) => answers('setsockopt', [3, level, 2]) === 'allow')).toEqual([
      0, 1, 6, 17, 41, 270,
    ]);
    expect(refused('setsockopt', (option) => [3, 41, option], 82)).toEqual([
      17, 19, 20, 22, 25, 27, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46, 81,
    ]);
    expect([20, 25, 46].map((option) => answers('setsockopt', [3, 41, option]))).toEqual([
      'default',
      0,
      'default',
    ]);
    const raw = all(['CAP_NET_RAW']);
    const ofPackets = upTo(26).map((option) => answers('setsockopt', [3, 263, option], raw));
    expect([1, 5, 13, 22].map((option) => ofPackets[option])).toEqual([
      0,
      'default',
      'default',
      'default',
    ]);
    expect(ofPackets.filter((said) => said === 'allow')).toHaveLength(22);
    expect(answers('setsockopt', [3, SOCKET_LEVEL, 36], all(['CAP_NET_ADMIN']))).toBe('allow');
  });

  test('limit families, types and protocols of sockets', () => {
    const opened: number[][] = [];
    for (const family of upTo(46)) {
      for (const type of upTo(11)) {
        for (const protocol of [...upTo(34), 41, 58, 115, 132, 136, 143, 255, 256, 262]) {
          if (family === UNIX || answers('socket', [family, type, protocol]) !== 'allow') continue;
          opened.push(family === NETLINK ? [family, protocol] : [family, type, protocol]);
        }
      }
    }
    expect(opened.filter(([family]) => family !== NETLINK)).toEqual([
      [INET, STREAM, 0],
      [INET, STREAM, 6],
      [INET, DATAGRAM, 0],
      [INET, DATAGRAM, 1],
      [INET, DATAGRAM, 17],
      [INET6, STREAM, 0],
      [INET6, STREAM, 6],
      [INET6, DATAGRAM, 0],
      [INET6, DATAGRAM, 17],
      [INET6, DATAGRAM, 58],
    ]);
    expect(opened.filter(([family]) => family === NETLINK).flatMap(([, it]) => it)).toEqual(
      upTo(11).map(() => 0),
    );
    const [CLOSE_ON_EXEC, NON_BLOCKING] = [0x80000, 0x800];
    expect(answers('socket', [INET, STREAM | CLOSE_ON_EXEC | NON_BLOCKING, 0])).toBe('allow');
    expect(upTo(46).filter((family) => answers('socketpair', [family, 1, 0]) === 'allow')).toEqual([
      UNIX,
    ]);
  });

  test('allow raw and packet sockets with their capability', () => {
    const raw = all(['CAP_NET_RAW']);
    for (const call of [
      [INET, RAW, 1],
      [INET6, RAW, 58],
      [PACKET, RAW, 768],
    ]) {
      expect(answers('socket', call)).toBe('default');
      expect(answers('socket', call, raw)).toBe('allow');
    }
  });

  test('return what libraries expect when they fall back', () => {
    const [EINVAL, EPROTONOSUPPORT] = [22, 93];
    expect(answers('socket', [INET, STREAM, 262])).toBe(EPROTONOSUPPORT);
    expect(answers('socket', [INET6, STREAM, 262])).toBe(EPROTONOSUPPORT);
    expect(answers('socket', [NETLINK, RAW, 9])).toBe(EPROTONOSUPPORT);
    expect(upTo(4).map((operation) => answers('seccomp', [operation]))).toEqual([
      'allow',
      EINVAL,
      'allow',
      'default',
    ]);
    expect(answers('prctl', [22, 2])).toBe(EINVAL);
    expect(answer('sync', [])).toBe(0);
  });

  test('limit requests to terminals and devices, and options of processes', () => {
    const low = upTo(0x10000).filter((request) => answer('ioctl', [0, request]) !== 'allow');
    expect(low.map((request) => request.toString(16)).join(' ')).toBe(
      '5412 541c 541d 541e 541f 5423 8940 8941 8942 8943 8980 8981 8982 8983 89a0 89a1 89a2 89a3',
    );
    expect(answers('ioctl', [0, 0x80045430])).toBe('allow');
    // Sign-extended, as some C libraries pass it.
    expect(answer('ioctl', [0, 0x80045412 + 2 ** 52])).toBe('default');
    expect(refused('prctl', (option) => [option], 80)).toEqual([22, 30, 54, 62]);
    for (const option of [0x53564d41, 0x59616d61]) expect(answers('prctl', [option])).toBe('allow');
  });
});
