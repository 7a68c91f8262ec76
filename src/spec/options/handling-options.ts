/** Options that say how a task is known, bounded beside its limits, stopped and removed. */
import { parseTaskId, parseTenantName } from '../../core/ids.ts';
import { checkLabels, LABEL_KEY } from '../parse-labels.ts';
import { parseSignal } from '../parse-signal.ts';
import { parseUlimit, ULIMIT_FORM } from '../parse-ulimit.ts';
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { OptionRow } from './option-row.ts';
import { bytes, FLAG, listOfTexts, mapOfTexts, NO_NUL, textOf, wordOf } from './option-values.ts';

const DISK_RATES = listOfTexts((value) => value, BOUNDS.throttles);

export const HANDLING_OPTIONS = {
  /** When one process is killed for memory, all are. */
  oomGroup: {
    flags: '--oom-group',
    help: 'when one process is killed for memory, end the whole task',
    value: FLAG,
    absent: false,
    jobs: true,
    doc: {
      takes:
        'when the kernel kills one process for memory, all of the task end; see [memory](#memory)',
      bound: "the task's own processes",
    },
  },
  /** `nofile=1024:2048`. */
  ulimits: {
    flags: '--ulimit <type=soft:hard…>',
    help: 'a resource limit: nofile=1024:2048',
    value: listOfTexts(parseUlimit, BOUNDS.ulimits, ULIMIT_FORM.source),
    absent: [],
    jobs: true,
    doc: {
      takes:
        'list of `TYPE=SOFT[:HARD]`, at most 32; `-1` is unlimited; types as in setrlimit(2), lower case; the policy has [maxima](policy.md#defaults-and-maxima), for `rtprio` and `nice` 0',
      default: '`core=0`, `msgqueue=819200`, `nofile=1024:65536`',
      rule: '`maxima.ulimits`',
      bound: '32 entries; `rtprio` and `nice` 0, others as the policy has them',
    },
  },
  /** `PATH:RATE`, a whole disk of the host and bytes each second: `/dev/sda:50m`. */
  deviceReadBps: {
    flags: '--device-read-bps <path:rate…>',
    help: 'most bytes read from a disk each second: /dev/sda:50m',
    value: DISK_RATES,
    spec: null,
    jobs: 'it names a disk of the host',
    doc: {
      takes:
        'list of `PATH:RATE`, a whole disk of the host and bytes each second, at most 16; see [disks](#disks)',
      default: 'policy (none)',
      rule: '`maxima.deviceReadBps`',
      bound: '16 entries; only ever lowers',
    },
  },
  deviceWriteBps: {
    flags: '--device-write-bps <path:rate…>',
    help: 'most bytes written to a disk each second',
    value: DISK_RATES,
    spec: null,
    jobs: 'it names a disk of the host',
    doc: {
      takes: 'the same for what it writes',
      default: 'policy (none)',
      rule: '`maxima.deviceWriteBps`',
      bound: '16 entries; only ever lowers',
    },
  },
  /** `PATH:RATE`, operations each second. */
  deviceReadIops: {
    flags: '--device-read-iops <path:rate…>',
    help: 'most reads from a disk each second',
    value: DISK_RATES,
    spec: null,
    jobs: 'it names a disk of the host',
    doc: {
      takes: 'reads each second',
      default: 'policy (none)',
      rule: '`maxima.deviceReadIops`',
      bound: '16 entries; only ever lowers',
    },
  },
  deviceWriteIops: {
    flags: '--device-write-iops <path:rate…>',
    help: 'most writes to a disk each second',
    value: DISK_RATES,
    spec: null,
    jobs: 'it names a disk of the host',
    doc: {
      takes: 'writes each second',
      default: 'policy (none)',
      rule: '`maxima.deviceWriteIops`',
      bound: '16 entries; only ever lowers',
    },
  },
  /** Bytes of each stream that a capture keeps. */
  captureBytes: {
    help: 'how much of each stream a capture keeps',
    value: bytes({ max: BOUNDS.captureBytesMax }),
    absent: 1_048_576,
    jobs: 'it takes memory of the calling program',
    doc: {
      takes: 'how much of each stream a capture keeps: the first and the last half; at most 64 MiB',
      default: '1m',
      bound: '64 MiB for each stream',
    },
  },
  /** What a stop begins with: `SIGTERM`, `QUIT`, `9`. Absent: what the image says. */
  stopSignal: {
    flags: '--stop-signal <signal>',
    help: "what a stop begins with: SIGQUIT; else the image's, or TERM",
    value: textOf(parseSignal, /^[A-Za-z0-9+-]{1,12}$/.source),
    jobs: true,
    doc: {
      takes:
        'the signal that a stop begins with, by name (`QUIT`, `SIGQUIT`, `RTMIN+3`) or number; see [stopping](#stopping)',
      default: "the image's (`STOPSIGNAL`), else TERM",
      bound: "one of the kernel's signals; `stopTimeout` bounds what it delays",
    },
  },
  /** The task's name; random when absent. */
  id: {
    flags: '--name <id>',
    help: 'id of the task; random when not given',
    value: textOf(parseTaskId),
    jobs: 'the calling program names its tasks',
    doc: {
      takes:
        '1 to 64 letters, digits, `_`, `.`, `-`, the first a letter or digit; unique on the machine',
      default: 'random',
      bound: '64 characters of a fixed set; unique',
    },
  },
  /** Whose task it is: what the policy says of this tenant holds for its tasks together. */
  tenant: {
    flags: '--tenant <name>',
    help: 'whose task it is; the policy says what a tenant may have',
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
    help: 'label the task; stackshim ps shows labels',
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
      bound: '128 labels, 4,096 characters each; escaped where they are printed',
    },
  },
  /** Leave the ended task's files in place. */
  keep: {
    flags: '--keep',
    help: 'keep the writable layer of the ended task; stackshim kill ID removes it',
    value: FLAG,
    absent: false,
    jobs: 'kept files stay on the disk of the host',
    doc: {
      takes: "leave the ended task's writable layer in place",
      bound: 'the disk limit, until `reap` or `kill`',
    },
  },
  remove: {
    flags: '--remove <mode>',
    help: 'sync, or async: removal is left to a process of its own',
    value: wordOf('sync', 'async'),
    absent: 'sync',
    jobs: 'the calling program decides whether it waits',
    doc: {
      takes:
        '`sync`: the result comes when everything is removed; `async`: removal goes on afterwards',
      bound: 'two values',
    },
  },
} as const satisfies Readonly<Record<string, OptionRow>>;
