/** Where the store of the queues is, according to the command line and the environment: the same for `worker` and `queue`. */
import { isAbsolute } from 'node:path';
import { unlessFailed } from '../../core/errors.ts';
import { invalidInput } from '../../spec/field-errors.ts';
import { readPrivateFile } from '../../sys/read-private-file.ts';
import type { OptionValues } from '../define/plain-line.ts';

export const STORE_OPTIONS = [
  [
    '--store <url>',
    'store of the queues: redis://, rediss://, valkey:// or postgres:// (default: STACKSHIM_STORE_URL)',
  ],
  ['--store-password-file <file>', "file with the store's password, for root alone"],
] as const;

export type StoreOptions = OptionValues<(typeof STORE_OPTIONS)[number][0]>;

/** The name of the password among systemd's credentials: systemd.exec(5), LoadCredential=. */
const CREDENTIAL = 'stackshim-store-password';
const MAX_PASSWORD_BYTES = 4096;

/**
 * Returns the URL of the store, with the password, and a warning for the operator. The password comes from the file, else from the
 * credential, else from the URL. Throws ERR_STACKSHIM_SPEC_INVALID, and for the file ERR_STACKSHIM_INPUT_NOT_FOUND.
 */
export function readStoreAddress(
  { store, storePasswordFile }: StoreOptions,
  env: Readonly<Record<string, string | undefined>>,
) {
  const given = store ?? env['STACKSHIM_STORE_URL'];
  if (!given) {
    const hint = 'give --store redis://HOST:PORT, or set STACKSHIM_STORE_URL';
    throw invalidInput('store', 'find the store: none is named', hint);
  }
  const password =
    storePasswordFile === undefined
      ? readCredential(env['CREDENTIALS_DIRECTORY'])
      : readPassword(storePasswordFile);
  const shown = parseUrl(store ?? '');
  const isVisible = shown !== undefined && (shown.password || shown.searchParams.has('password'));
  return {
    url: password === undefined ? given : withPassword(given, password),
    warning: isVisible
      ? 'the password in --store is visible to every user of this machine: use --store-password-file'
      : undefined,
  };
}

function readCredential(folder: string | undefined): string | undefined {
  if (folder === undefined || !isAbsolute(folder)) return undefined;
  return unlessFailed(
    () => readPassword(`${folder}/${CREDENTIAL}`),
    ['ERR_STACKSHIM_INPUT_NOT_FOUND'],
  );
}

/** Reads the password. Drops a line break at the end, which editors add. */
function readPassword(path: string): string {
  const field = 'storePasswordFile';
  const text = readPrivateFile(path, {
    what: 'password of the store',
    field,
    maxBytes: MAX_PASSWORD_BYTES,
  }).replace(/\r?\n$/, '');
  if (text !== '' && !/[\0\r\n]/.test(text)) return text;
  const message = `read password of the store ${path}: not one line of text`;
  throw invalidInput(field, message);
}

/** Returns undefined for text that is not a URL. The code that opens the store refuses such text, without showing it. */
const parseUrl = (text: string) => (URL.canParse(text) ? new URL(text) : undefined);

function withPassword(text: string, password: string): string {
  const url = parseUrl(text);
  if (url === undefined) return text;
  // A URL without a host has no place for a password; a PostgreSQL URL may also have parameters.
  if (url.host === '') url.searchParams.set('password', password);
  else url.password = encodeURIComponent(password);
  return url.href;
}
