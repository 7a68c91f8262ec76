/** Options that define what runs in a task's container: the command, its environment, its input. */
import { text } from '../../core/read-fields.ts';
import { invalidField } from '../field-errors.ts';
import {
  checkEnv,
  isCodePath,
  PACKAGE_REFERENCE,
  parseBuildCommand,
  parseCodeSource,
  parseCommand,
  parseEntrypoint,
  parseStackReference,
  parseUser,
  STACK_REFERENCE,
  USER,
} from '../parse-command.ts';
import { parseAbsolutePath, parsePath } from '../parse-path.ts';
import { NETWORKS } from '../policy.ts';
import { SPEC_BOUNDS as BOUNDS } from '../spec-bounds.ts';
import type { FileInput } from '../task-spec.ts';
import type { OptionRow } from './option-row.ts';
import {
  mapOfTexts,
  NO_NUL,
  readLineOrWords,
  readWords,
  SWITCH,
  textLike,
  textOf,
  wordOf,
} from './option-values.ts';

const word = { type: 'string', maxLength: BOUNDS.argumentBytes, pattern: NO_NUL };
const words = { type: 'array', maxItems: BOUNDS.commandElements, items: word };
const named = { prefixItems: [{ ...word, minLength: 1 }] };

const SCHEDULE_ID = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,254}$/;

/** An option for a file of the host that becomes the field `spec`. */
const hostFile = <F extends string, S extends 'payload' | 'config'>(
  flags: F,
  help: string,
  spec: S,
) => ({
  flags,
  help,
  value: textOf((path, field): FileInput => ({ kind: 'file', path: parsePath(path, field) })),
  spec,
  jobs: 'it names a path of the host',
  doc: {
    takes: 'a file on the host',
    rule: '`allow.inputs`',
    bound: 'a regular file, not larger than the disk limit',
  },
});

function parsePayload(payload: string, field: string): FileInput {
  if (Buffer.byteLength(payload) <= BOUNDS.payloadBytes) return { kind: 'text', text: payload };
  throw invalidField(field, `longer than ${BOUNDS.payloadBytes} bytes; use payloadFile`);
}

export const COMMAND_OPTIONS = {
  /** `name`, `name@rev:N` or `name@sha256:…`. Absent: the stack of the code package that `code` names. */
  stack: {
    name: 'STACK',
    help: "name, name@rev:N or name@sha256:…; defaults to the code package's",
    value: textOf(parseStackReference, STACK_REFERENCE.source),
    jobs: true,
    doc: {
      takes: '`name`, `name@rev:N` or `name@sha256:…`',
      default: "the code package's",
      bound: 'a name, and what is stored',
    },
  },
  /** Absent or empty: the image's command. */
  command: {
    name: 'COMMAND',
    help: "the command; defaults to the image's",
    value: { read: readWords, parse: parseCommand, schema: { ...words, ...named } },
    absent: [],
    jobs: true,
    doc: {
      option: 'COMMAND ARG…',
      takes:
        'list of arguments: at most 8,192, each at most 131,071 bytes, 1 MiB in all. The entrypoint goes before it',
      default: "the image's command",
      bound: '8,192 arguments, 1 MiB',
    },
  },
  /** A program, or a list, that replaces the image's entrypoint; the image's command is then ignored. Empty: no entrypoint. */
  entrypoint: {
    flags: '--entrypoint <program>',
    help: "replace the image's entrypoint and command; '' for none",
    value: {
      read: readLineOrWords,
      parse: parseEntrypoint,
      schema: { anyOf: [word, { ...words, anyOf: [{ maxItems: 1 }, named] }] },
    },
    jobs: true,
    doc: {
      takes:
        "a program, or (in an object) a list of a program and its first arguments, that replaces the image's entrypoint; empty: no entrypoint. The image's command belongs to the image's entrypoint, and is not used then",
      default: "the image's",
      bound: 'as `command`',
    },
  },
  env: {
    flags: '-e, --env <K=V…>',
    help: "set an environment variable; K alone takes the caller's value",
    value: mapOfTexts(checkEnv, {
      maxProperties: BOUNDS.envEntries,
      propertyNames: {
        pattern: '^(?!__proto__$)[^=\\s\\u0000-\\u001f\\u007f-\\u009f]+$',
        maxLength: BOUNDS.envNameChars,
      },
      additionalProperties: word,
    }),
    absent: {},
    jobs: true,
    doc: {
      option: '`-e K=V`, `-e K`, `--env-file`',
      takes:
        'at most 4,096 variables, names at most 255 characters, each at most 131,071 bytes, 1 MiB in all',
      bound: '4,096 variables, 1 MiB',
    },
  },
  workdir: {
    flags: '-w, --workdir <directory>',
    help: 'working directory in the task',
    value: textOf(parseAbsolutePath, '^/[^\\u0000\\r\\n]*$'),
    jobs: true,
    doc: {
      takes: 'absolute path',
      default: "`/task` with code, else the image's, else `/`",
      bound: 'a path inside the task',
    },
  },
  /** `name|uid[:group|gid]`. */
  user: {
    flags: '-u, --user <user>',
    help: 'name|uid[:group|gid]',
    value: textOf(parseUser, USER.source),
    jobs: true,
    doc: {
      takes:
        '`name` or uid, and `:group` or `:gid`; names are looked up in the image; below 65,536',
      default: "the image's, else root",
      bound: "ids below 65,536, of the task's user namespace unless `userns` is `host`",
    },
  },
  tty: {
    flags: '-t, --tty',
    help: 'give the task a terminal',
    ...SWITCH,
    jobs: 'a job has no terminal',
    doc: { takes: 'true: the task has a terminal', bound: '–' },
  },
  interactive: {
    flags: '-i, --interactive',
    help: 'pass standard input to the task',
    ...SWITCH,
    jobs: 'a job has no standard input',
    doc: {
      takes: 'true: the task reads the standard input of `run`, or the stream of the library',
      bound: '–',
    },
  },
  /**
   * A directory, `.tar.gz` or `.zip` on the host, or a code package of the task's tenant: `NAME`, `NAME@rev:N`, `NAME@sha256:…`. The task
   * gets a writable copy at `/task`. These are paths: text with a slash, `.`, `..`, `-`, and text that ends in `.tar.gz`, `.tgz` or `.zip`.
   */
  code: {
    flags: '--code <code>',
    help: 'a directory, .tar.gz or .zip to run at /task; - for standard input; or a code package',
    value: textOf(parseCodeSource, PACKAGE_REFERENCE.source),
    jobs: true,
    refusesJob: (code) => isCodePath(code) && 'it names a path of the host',
    doc: {
      takes:
        "a directory, `.tar.gz` or `.zip` on the host (`./DIR`), or a [code package](code.md) of the task's tenant (`NAME`, `NAME@rev:N`, `NAME@sha256:…`); the task gets a writable copy at `/task`. On the command line, `-` is an archive on standard input",
      job: {
        may: 'a package: yes; a path: no',
        takes: "a code package of the task's tenant: `NAME`, `NAME@rev:N` or `NAME@sha256:…`",
      },
      rule: '`allow.inputs` for a path',
      bound: "a package of the job's tenant",
    },
  },
  /** A line for `/bin/sh -c`, or a list of a program and its arguments. */
  build: {
    flags: '--build <command>',
    help: 'prepare /task by this command once; later tasks get what it left from the cache',
    value: {
      read: readLineOrWords,
      parse: parseBuildCommand,
      schema: {
        anyOf: [
          { ...word, minLength: 1 },
          { ...words, ...named, minItems: 1 },
        ],
      },
    },
    jobs: true,
    doc: {
      takes:
        'a line for `/bin/sh -c`, or (in an object) a list of a program and its arguments; see [the build step](build-step.md)',
      default: 'none',
      rule: '`builds.jobs` for data from a queue: false by default',
      bound: 'as `command`; its own limits',
    },
  },
  buildNetwork: {
    flags: '--build-network <name>',
    help: 'network of the build step: none or host',
    value: wordOf(...NETWORKS),
    absent: 'none',
    allow: 'buildNetworks',
    jobs: 'it can name a namespace of the host',
    doc: {
      takes: '`none` or `host`, for the build step alone',
      default: '`none`',
      bound: 'two values',
    },
  },
  /** The payload's text; excludes `payloadFile`. */
  payload: {
    flags: '--payload <text>',
    help: 'text that the task reads from the file PAYLOAD_FILE; - for standard input',
    value: {
      read: text,
      parse: parsePayload,
      schema: { type: 'string', maxLength: BOUNDS.payloadBytes },
    },
    jobs: true,
    doc: {
      takes:
        'text of at most 16 MiB; not together with `payloadFile`. On the command line, `-` is standard input: any bytes',
      bound: '16 MiB',
    },
  },
  payloadFile: hostFile('--payload-file <file>', 'read the payload from a file', 'payload'),
  configFile: hostFile(
    '--config-file <file>',
    'a file that the task reads as CONFIG_FILE',
    'config',
  ),
  /** `names`: `{payload}`, `{config}` and `{id}` in the command are replaced. `iron`: IronWorker's arguments are appended. */
  args: {
    flags: '--args <convention>',
    help: 'pass the paths of the inputs as arguments: none, names or iron',
    value: wordOf('none', 'names', 'iron'),
    absent: 'none',
    jobs: true,
    doc: {
      takes:
        '`names`: in the command and the entrypoint, `{payload}`, `{config}` and `{id}` are replaced by the paths of these files and the id. `iron`: the arguments of IronWorker are appended to the command line. See [arguments](contract.md#arguments)',
      default: '`none`',
      bound: 'three values',
    },
  },
  /** The id of the task's schedule, for `args: 'iron'`. */
  scheduleId: {
    flags: '--schedule-id <id>',
    help: 'id of the schedule, for --args iron',
    value: textLike(
      SCHEDULE_ID,
      'not 1 to 255 letters, digits, "_", ".", ":", "@" or "-" that start with a letter or digit',
    ),
    jobs: 'the program that receives the data knows the schedule',
    doc: {
      takes:
        'the id of the schedule that the task belongs to: with `args: iron`, the command gets it as `-schedule_id`. 1 to 255 letters, digits, `_`, `.`, `:`, `@`, `-`, the first a letter or digit',
      default: 'none',
      bound: '255 characters',
    },
  },
} as const satisfies Readonly<Record<string, OptionRow>>;
