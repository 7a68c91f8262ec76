/** Options that define a task's container: mounts, devices, namespaces, rights. */
import {
  FieldFault,
  flag,
  listOf,
  numberOr,
  objectOf,
  oneOf,
  optional,
  type Reader,
} from '../../core/read-fields.ts';
import { invalidField } from '../field-errors.ts';
import type { BindInput, MountInput, TmpfsInput } from '../parse-mounts.ts';
import { parseAbsolutePath } from '../parse-path.ts';
import {
  admitBinds,
  admitCapabilities,
  admitDevices,
  admitSecurity,
  CAPABILITIES,
  DEFAULT_RUNTIME,
  NETWORKS,
  PID_MODES,
  RUNTIMES,
  USERNS_MODES,
} from '../policy.ts';
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { OptionRow, OptionValue } from './option-row.ts';
import {
  listOfTexts,
  readText,
  SWITCH,
  textLike,
  textOf,
  textOr,
  wordOf,
} from './option-values.ts';

const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?$/;
const BUNDLE = /^[a-z0-9][a-z0-9-]{0,31}$/;
const NOT_A_NAME = 'not 1 to 64 letters, digits and inner punctuation';

const bind = objectOf<BindInput>({
  type: oneOf('bind'),
  source: readText,
  target: readText,
  readonly: optional(flag),
});
const tmpfs = objectOf<TmpfsInput>({
  type: oneOf('tmpfs'),
  target: readText,
  size: optional(numberOr(readText)),
  mode: optional(readText),
  exec: optional(flag),
});

const mount: Reader<MountInput> = (value, field) => {
  const type: unknown = Reflect.get(Object(value), 'type');
  if (type === 'bind') return bind(value, field);
  if (type === 'tmpfs') return tmpfs(value, field);
  throw new FieldFault(`${field}.type`, 'not "bind" or "tmpfs"');
};

const ALL_CAPABILITIES = ['ALL', ...CAPABILITIES];

const whole = <T>(value: T): T => value;

const MOUNTS: OptionValue<readonly (string | MountInput)[]> = {
  read: listOf(textOr(mount), BOUNDS.mounts),
  parse: whole,
  schema: { type: 'array', maxItems: BOUNDS.mounts },
};

function parseRuntime(runtime: string, field: string): string {
  if (RUNTIMES.includes(runtime)) return runtime;
  if (runtime.startsWith('/')) return parseAbsolutePath(runtime, field);
  throw invalidField(field, 'not runc, crun, runsc or an absolute path', runtime);
}

export const CONTAINER_OPTIONS = {
  /** Name of a bundle template. */
  bundle: {
    flags: '--bundle <template>',
    help: 'bundle template of the container',
    value: textLike(BUNDLE, NOT_A_NAME),
    allow: 'bundles',
    jobs: 'it names a bundle template',
    doc: {
      takes: 'name of a bundle template',
      default: "the image's label `io.stackshim.bundle`, else `default`",
      rule: "`allow.bundles`, for an image's label too",
      bound: '32 characters of a fixed set',
    },
  },
  /** `runc`, `crun`, `runsc` or an absolute path. */
  runtime: {
    flags: '--runtime <runtime>',
    help: 'runc, crun, runsc or a path',
    value: textOf(parseRuntime),
    words: RUNTIMES,
    absent: DEFAULT_RUNTIME,
    allow: 'runtimes',
    jobs: 'it names a program that runs as root',
    doc: {
      takes:
        '`runc`, `crun`, `runsc` ([gVisor](security.md#another-kernel-between-gvisor)) or an absolute path that the policy allows',
      bound: 'only root may be able to change it',
    },
  },
  network: {
    flags: '--network <name>',
    help: 'none or host',
    value: wordOf(...NETWORKS),
    absent: 'none',
    allow: 'networks',
    jobs: 'it can name a namespace of the host',
    doc: { takes: '`none` (own namespace, loopback only) or `host`', bound: 'two values' },
  },
  userns: {
    flags: '--userns <mode>',
    help: 'auto (own range of user ids) or host',
    value: wordOf(...USERNS_MODES),
    absent: 'auto',
    allow: 'userns',
    jobs: 'it can name a namespace of the host',
    doc: { takes: '`auto` (own range of user ids) or `host`', bound: 'two values' },
  },
  /** `private`, or `host` together with `userns: 'host'`. */
  pid: {
    flags: '--pid <mode>',
    help: 'private, or host together with --userns host',
    value: wordOf(...PID_MODES),
    absent: 'private',
    allow: 'pid',
    jobs: 'it can name a namespace of the host',
    doc: {
      takes:
        '`private`, or `host` together with `userns` `host`; with `host` the task sees and may signal every process of the host',
      rule: '`allow.pid`: `private` by default',
      bound: 'two values',
    },
  },
  hostname: {
    flags: '--hostname <name>',
    help: 'host name in the task',
    value: textLike(HOSTNAME, NOT_A_NAME),
    jobs: true,
    doc: {
      takes: '1 to 64 letters, digits, `.`, `_`, `-`',
      default: 'the id',
      bound: '64 characters of a fixed set; only in its own uts namespace',
    },
  },
  /** Objects, or text as docker's `--mount` takes it. */
  mounts: {
    flags: '--mount <spec…>',
    help: 'type=bind,source=…,target=…[,readonly] or type=tmpfs,target=…',
    value: MOUNTS,
    spec: null,
    admit: admitBinds,
    jobs: 'it names paths of the host',
    doc: {
      takes: 'list of at most 64 objects, or text as docker writes it; see [mounts](#mounts)',
      rule: '`allow.bindSources`',
      bound: '64 entries in both fields together',
    },
  },
  /** `HOST:TASK[:ro]`. */
  volumes: {
    flags: '-v, --volume <host:task[:ro]…>',
    name: '-v',
    help: 'mount a file or folder of the host',
    value: listOfTexts(whole, BOUNDS.mounts),
    spec: null,
    jobs: 'it names paths of the host',
    doc: {
      takes:
        'list of `HOST:TASK[:ro]`; at most 64 together with `mounts`. On the command line, `HOST` may begin with `./` or `../`, and so may `source=` of `--mount`',
      rule: '`allow.bindSources`',
      bound: '64 entries in both fields together',
    },
  },
  /** `TARGET[:size=16m,mode=1777]`. */
  tmpfs: {
    flags: '--tmpfs <path[:options]…>',
    help: 'mount a tmpfs: /tmp:size=16m,mode=1777',
    value: listOfTexts(whole, BOUNDS.tmpfs),
    spec: null,
    jobs: 'it adds mounts',
    doc: {
      takes:
        'list of `TARGET[:OPTIONS]`, at most 64; options `size=` (bytes, at least 4,096), `mode=` (octal), `exec`',
      bound: "64 entries; the task's memory",
    },
  },
  /** `HOST[:TASK][:rwm]`: devices of the host. */
  devices: {
    flags: '--device <host[:task][:rwm]…>',
    help: 'give the task a device of the host that the policy allows: /dev/fuse',
    value: listOfTexts(whole, BOUNDS.devices),
    spec: null,
    admit: admitDevices,
    jobs: 'it names devices of the host',
    doc: {
      takes:
        'list of `HOST[:TASK][:ACCESS]`, at most 32; the policy must allow each; see [devices](#devices)',
      rule: '`allow.devices`: none by default',
      bound: '32 entries',
    },
  },
  readOnly: {
    flags: '--read-only',
    help: 'make the root filesystem read-only',
    ...SWITCH,
    jobs: true,
    doc: {
      takes: 'true: the task cannot write to the root filesystem',
      bound: 'only ever restricts',
    },
  },
  capAdd: {
    flags: '--cap-add <capability…>',
    help: 'add a capability',
    value: listOfTexts(whole, BOUNDS.capabilities),
    words: ALL_CAPABILITIES,
    spec: null,
    admit: admitCapabilities,
    jobs: 'it changes capabilities',
    doc: {
      takes: 'list of capabilities, with or without `CAP_`, or `ALL`',
      rule: '`allow.capAdd`',
      bound: '64 entries',
    },
  },
  capDrop: {
    flags: '--cap-drop <capability…>',
    help: 'drop a capability, or ALL',
    value: listOfTexts(whole, BOUNDS.capabilities),
    words: ALL_CAPABILITIES,
    spec: null,
    jobs: 'it changes capabilities',
    doc: { takes: 'the same', bound: '64 entries; only ever restricts' },
  },
  /** `seccomp=FILE`, `seccomp=unconfined`, `no-new-privileges=false`. */
  securityOpt: {
    flags: '--security-opt <option…>',
    help: 'seccomp=FILE, seccomp=unconfined, no-new-privileges=false',
    value: listOfTexts(whole, BOUNDS.securityOpts),
    words: ['seccomp=', 'seccomp=unconfined', 'no-new-privileges=false'],
    spec: null,
    admit: admitSecurity,
    jobs: 'it changes what the kernel lets the task do',
    doc: {
      takes: 'list of `seccomp=FILE`, `seccomp=unconfined`, `no-new-privileges=true\\|false`',
      default: "the bundle's profile, true",
      rule: '`allow.seccomp`, `allow.newPrivileges`, `allow.inputs`',
      bound: '16 entries; a profile of 4 MiB',
    },
  },
  init: {
    flags: '--init',
    help: 'run a small init program as pid 1',
    ...SWITCH,
    jobs: true,
    doc: {
      takes: "true: pid 1 is a small init program (Debian's package `tini` on the host)",
      bound: 'an init program of the host that only root can change',
    },
  },
} as const satisfies Readonly<Record<string, OptionRow>>;
