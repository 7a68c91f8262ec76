/** Reads the OCI configuration of a running task's container. Only root can write to its folder. */
import { StackshimError } from '../../core/errors.ts';
import type { IdRange } from '../../core/mount.ts';
import {
  flag,
  integer,
  listOf,
  objectOf,
  optional,
  type Reader,
  readWith,
  text,
} from '../../core/read-fields.ts';
import type {
  OciCapabilities,
  OciIdMapping,
  OciProcess,
  OciRlimit,
  OciUser,
} from '../../oci/oci-config.ts';
import { readBoundedFile } from '../../sys/files.ts';
import type { TaskPlaces } from '../records/task-places.ts';

export interface StoredConfig {
  readonly process: OciProcess;
  /** Null in the host's user namespace. */
  readonly ids: IdRange | null;
}

/** A configuration contains the environment, which may be large. */
const MAX_BYTES = 16 * 1024 * 1024;

const id = integer(0);
const texts = listOf(text);

/** JSON turns RLIM_INFINITY into a rounded number above every other limit. */
const rlimit: Reader<number> = (value, field) =>
  typeof value === 'number' && value > Number.MAX_SAFE_INTEGER
    ? Number.POSITIVE_INFINITY
    : integer(0)(value, field);

const processReader = objectOf<OciProcess>({
  terminal: flag,
  consoleSize: optional(objectOf({ height: integer(0), width: integer(0) })),
  user: objectOf<OciUser>({ uid: id, gid: id, additionalGids: listOf(id) }),
  args: texts,
  env: texts,
  cwd: text,
  capabilities: objectOf<OciCapabilities>({ bounding: texts, permitted: texts, effective: texts }),
  rlimits: listOf(objectOf<OciRlimit>({ type: text, soft: rlimit, hard: rlimit })),
  noNewPrivileges: flag,
  oomScoreAdj: optional(integer(-1000, 1000)),
});
const mappings = optional(
  listOf(objectOf<OciIdMapping>({ containerID: id, hostID: id, size: id })),
);

/** Reads `config.json`. Throws ERR_STACKSHIM_RECORD_CORRUPT if that is not possible. */
export function readStoredConfig({ bundle }: Pick<TaskPlaces, 'bundle'>): StoredConfig {
  const file = `${bundle}/config.json`;
  try {
    const config: object = JSON.parse(readBoundedFile(file, { maxBytes: MAX_BYTES }));
    const linux: object = Reflect.get(config, 'linux');
    const read = <T>(reader: Reader<T>, from: object, field: string): T =>
      readWith(
        (value) => reader(value, field),
        Reflect.get(from, field),
        (fault) => fault,
      );
    const [mapping] = read(mappings, linux, 'uidMappings') ?? [];
    return {
      process: read(processReader, config, 'process'),
      ids: mapping === undefined ? null : { base: mapping.hostID, size: mapping.size },
    };
  } catch (error) {
    const message = `read ${file}: not the configuration of a task`;
    const details = { path: file };
    throw new StackshimError('ERR_STACKSHIM_RECORD_CORRUPT', message, { cause: error, details });
  }
}
