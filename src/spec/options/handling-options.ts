/** Options that identify a task, that limit it without a default in the policy, and that stop and remove it. */
import { parseTaskId, parseTenantName } from '../../core/ids.ts';
import { listOf, objectOf, optional } from '../../core/read-fields.ts';
import { parseUlimit, type ThrottleField, ULIMIT_FORM, ULIMIT_NAMES } from '../limits.ts';
import { checkLabels, LABEL_KEY, parseSignal } from '../parse-command.ts';
import type { OutputInput } from '../parse-outputs.ts';
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { OptionRow, OptionValue } from './option-row.ts';
import {
  bytes,
  listOfTexts,
  mapOfTexts,
  NO_NUL,
  readText,
  SWITCH,
  textOf,
  textOr,
  wordOf,
} from './option-values.ts';

/** An option for a list of `PATH:RATE`. */
const diskRate = <F extends string>(
  field: ThrottleField,
  flags: F,
  help: string,
  takes: string,
) => ({
  flags,
  help,
  value: listOfTexts((value) => value, BOUNDS.throttles),
  spec: null,
  jobs: 'it names a disk of the host',
  doc: {
    takes,
    default: 'policy (none)',
    rule: `\`maxima.${field}\``,
    bound: '16 entries; only ever lowers',
  },
});

const output = objectOf<Exclude<OutputInput, string>>({
  source: readText,
  destination: optional(readText),
});

const OUTPUTS: OptionValue<readonly OutputInput[]> = {
  read: listOf(textOr(output), BOUNDS.outputs),
  parse: (value) => value,
  schema: { type: 'array', maxItems: BOUNDS.outputs },
};

export const HANDLING_OPTIONS = {
  /** End the whole task when the kernel kills one process for lack of memory. */
  oomGroup: {
    flags: '--oom-group',
    help: 'end the whole task when one process is killed for lack of memory',
    ...SWITCH,
    jobs: true,
    doc: {
      takes:
        'true: the whole task ends when the kernel kills one of its processes for lack of memory; see [memory](#memory)',
      bound: "the task's own processes",
    },
  },
  /** `nofile=1024:2048`. */
  ulimits: {
    flags: '--ulimit <type=soft:hard…>',
    help: 'set a resource limit: nofile=1024:2048',
    value: listOfTexts(parseUlimit, BOUNDS.ulimits, ULIMIT_FORM.source),
    words: ULIMIT_NAMES.map((name) => `${name}=`),
    absent: [],
    jobs: true,
    doc: {
      takes:
        'list of `TYPE=SOFT[:HARD]`, at most 32; `-1` is unlimited; types as in setrlimit(2), lower case; the policy sets [maxima](policy.md#defaults-and-maxima), which are 0 for `rtprio` and `nice`',
      default: '`core=0`, `msgqueue=819200`, `nofile=1024:65536`',
      rule: '`maxima.ulimits`',
      bound: "32 entries; 0 for `rtprio` and `nice`, else the policy's maxima",
    },
  },
  /** `PATH:RATE`, a whole disk of the host and bytes per second: `/dev/sda:50m`. */
  deviceReadBps: diskRate(
    'deviceReadBps',
    '--device-read-bps <path:rate…>',
    'limit the bytes read from a disk each second: /dev/sda:50m',
    'list of `PATH:RATE`, at most 16: a whole disk of the host, and bytes read each second; see [disks](#disks)',
  ),
  deviceWriteBps: diskRate(
    'deviceWriteBps',
    '--device-write-bps <path:rate…>',
    'limit the bytes written to a disk each second',
    'the same for bytes written each second',
  ),
  /** `PATH:RATE`, operations per second. */
  deviceReadIops: diskRate(
    'deviceReadIops',
    '--device-read-iops <path:rate…>',
    'limit the reads from a disk each second',
    'the same for reads each second',
  ),
  deviceWriteIops: diskRate(
    'deviceWriteIops',
    '--device-write-iops <path:rate…>',
    'limit the writes to a disk each second',
    'the same for writes each second',
  ),
  /** How many bytes of each stream a capture keeps. */
  captureBytes: {
    help: 'bytes of each stream that a capture keeps',
    value: bytes({ max: BOUNDS.captureBytesMax }),
    absent: 1_048_576,
    jobs: 'it takes memory of the calling program',
    doc: {
      takes:
        'how many bytes of each stream a capture keeps: half from the start, half from the end; at most 64 MiB',
      default: '1m',
      bound: '64 MiB per stream',
    },
  },
  /** The first signal of a stop: `SIGTERM`, `QUIT`, `9`. Absent: the image's, else TERM. */
  stopSignal: {
    flags: '--stop-signal <signal>',
    help: "first signal of a stop: SIGQUIT; defaults to the image's, else TERM",
    value: textOf(parseSignal, /^[A-Za-z0-9+-]{1,12}$/.source),
    jobs: true,
    doc: {
      takes:
        'the first signal of a stop, by name (`QUIT`, `SIGQUIT`, `RTMIN+3`) or number; see [stopping](#stopping)',
      default: "the image's (`STOPSIGNAL`), else TERM",
      bound: "one of the kernel's signals; `stopTimeout` bounds the delay until KILL",
    },
  },
  /** The task's name. Absent: random. */
  id: {
    flags: '--name <id>',
    help: 'id of the task; random by default',
    value: textOf(parseTaskId),
    jobs: 'the calling program names its tasks',
    doc: {
      takes:
        '1 to 64 letters, digits, `_`, `.`, `-`, the first a letter or digit; unique on the machine',
      default: 'random',
      bound: '64 characters of a fixed set; unique',
    },
  },
  /** The customer that the task runs for. The policy's terms for a tenant hold for all its tasks together. */
  tenant: {
    flags: '--tenant <name>',
    help: 'tenant of the task; the policy limits what a tenant uses',
    value: textOf(parseTenantName),
    jobs: 'the calling program knows whose queue it reads',
    doc: {
      takes:
        '1 to 64 letters, digits, `_`, `.`, `-`, the first a letter or digit; see [tenants](#tenants)',
      rule: '`tenants`, `tenantDefault`',
      bound: '64 characters of a fixed set',
    },
  },
  labels: {
    flags: '--label <K=V…>',
    help: 'label the task; stackshim ps shows the labels',
    value: mapOfTexts(checkLabels, {
      maxProperties: BOUNDS.labels,
      propertyNames: { pattern: LABEL_KEY.source, maxLength: BOUNDS.labelKeyChars },
      additionalProperties: {
        type: 'string',
        maxLength: BOUNDS.labelValueChars,
        pattern: NO_NUL,
      },
    }),
    absent: {},
    jobs: true,
    doc: {
      takes:
        'at most 128; keys of at most 128 letters, digits, `.`, `_`, `/`, `-`, values of at most 4,096 characters',
      bound: '128 labels, 4,096 characters each; escaped when printed',
    },
  },
  /** `SRC[:DST]`, or objects: what to take out of the task at its end, and where to put it. */
  outputs: {
    flags: '--output <src[:dst]…>',
    help: "take files out of the ended task: 'build/*.log:logs'; DST - writes a tar to standard output",
    value: OUTPUTS,
    spec: null,
    jobs: 'it names files and folders of the host',
    doc: {
      takes:
        'list of `SRC[:DST]` or of objects (`source`, `destination`), at most 64; see [outputs](outputs.md)',
      rule: '`allow.outputs`',
      bound: '64 entries; `outputMaxSize` and `outputMaxEntries`',
    },
  },
  /** Report a missing or incomplete output as an error of the task. */
  outputRequired: {
    flags: '--output-required',
    help: 'fail if an output is missing or incomplete',
    ...SWITCH,
    jobs: 'it belongs to the outputs',
    doc: {
      takes: 'true: an output that is missing or incomplete is an error of the task',
      bound: 'two values',
    },
  },
  /** Keep the files of the ended task. */
  keep: {
    flags: '--keep',
    help: 'keep the writable layer when the task ends; stackshim kill ID removes it',
    ...SWITCH,
    jobs: 'kept files stay on the disk of the host',
    doc: {
      takes: 'true: the writable layer stays when the task ends',
      bound: 'the disk limit, until `reap` or `kill`',
    },
  },
  /** Keep the task's output and result beyond its end. */
  log: {
    flags: '--log',
    help: 'keep the output and the result; read them with stackshim logs and wait',
    ...SWITCH,
    jobs: 'a kept log stays on the disk of the host',
    doc: {
      takes:
        'true: output and result are kept, while the task runs and after its end; see [what ended tasks leave](tasks.md#what-ended-tasks-leave)',
      bound: "the output limit, and the policy's `reports`",
    },
  },
  remove: {
    flags: '--remove <mode>',
    help: 'sync, or async: a separate process removes the task',
    value: wordOf('sync', 'async'),
    absent: 'sync',
    jobs: 'the calling program decides whether it waits',
    doc: {
      takes:
        '`sync`: you get the result after the removal; `async`: before it (see [removal](#removal))',
      bound: 'two values',
    },
  },
} as const satisfies Readonly<Record<string, OptionRow>>;
