/** Parses the URL of a store. Pure: certificates that the URL names are read when the store is opened. */
import { StackshimError } from '../../core/errors.ts';

/** The address of a Redis or Valkey server. */
export interface RedisAddress {
  readonly kind: 'redis';
  /** The URL without its password, for messages. */
  readonly shown: string;
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Undefined without TLS. Paths of PEM files, with redis-cli's names: `?cacert=…&cert=…&key=…`. */
  readonly tls: TlsFiles | undefined;
}

export interface TlsFiles {
  readonly cacert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** The address of a PostgreSQL database. The driver reads the rest of the URL. */
export interface PostgresAddress {
  readonly kind: 'postgres';
  readonly shown: string;
  readonly url: string;
}

/** The trailing `s` means TLS. */
const REDIS_SCHEME = /^(?:redis|valkey)(s?):$/;
const POSTGRES_SCHEME = /^postgres(?:ql)?:$/;
const REDIS_PARAMETERS: ReadonlySet<string> = new Set(['cacert', 'cert', 'key']);
const MAX_URL_CHARS = 4096;

/** Throws ERR_STACKSHIM_STORE_INVALID. The message never contains the URL, which may hold a password. */
export function parseStoreUrl(text: string): RedisAddress | PostgresAddress {
  const url = readUrl(text);
  const redis = REDIS_SCHEME.exec(url.protocol);
  if (redis !== null) return parseRedis(url, redis[1] === 's');
  if (POSTGRES_SCHEME.test(url.protocol)) {
    return { kind: 'postgres', shown: showUrl(url), url: text };
  }
  throw refuse(`the scheme ${JSON.stringify(url.protocol.slice(0, 50))} is not known`);
}

function readUrl(text: string): URL {
  try {
    if (text.length <= MAX_URL_CHARS) return new URL(text);
  } catch {
    // The error would show the URL with its password.
  }
  throw refuse(
    'it is not a URL, or has a character that must be %-encoded, as / and @ in a password',
  );
}

function parseRedis(url: URL, isTls: boolean): RedisAddress {
  const unknown = [...url.searchParams.keys()].find((name) => !REDIS_PARAMETERS.has(name));
  if (unknown !== undefined) {
    throw refuse(`the parameter ${JSON.stringify(unknown.slice(0, 50))} is not known`);
  }
  if (!isTls && url.search !== '') throw refuse('parameters need TLS: rediss:// or valkeys://');
  const db = /^\/?(\d{0,4})$/.exec(url.pathname)?.[1];
  if (db === undefined) throw refuse('the path is not the number of a database');
  const file = (name: string) => url.searchParams.get(name) ?? undefined;
  return {
    kind: 'redis',
    shown: showUrl(url),
    host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1',
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(db),
    username: decode(url.username),
    password: decode(url.password),
    tls: isTls ? { cacert: file('cacert'), cert: file('cert'), key: file('key') } : undefined,
  };
}

function decode(part: string): string | undefined {
  if (part === '') return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    throw refuse('the user name or the password has an invalid % sequence');
  }
}

/** Shows the URL without parameters, because PostgreSQL accepts a password among them. */
function showUrl(url: URL): string {
  const user = url.username === '' ? '' : `${url.username}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}`;
}

const refuse = (problem: string) =>
  new StackshimError('ERR_STACKSHIM_STORE_INVALID', `read the URL of the store: ${problem}`);
