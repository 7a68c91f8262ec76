/** Parses the address of the health endpoint. Pure. */
import { StackshimError } from '../../core/errors.ts';
import { invalidInput } from '../../spec/field-errors.ts';

export type HealthAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
const HOST_AND_PORT = /^(?:(?:\[([0-9a-fA-F:.]{2,45})\]|([a-zA-Z0-9.-]{1,253})):)?(\d{1,5})$/;
const MAX_PORT = 65_535;
/** sun_path holds 108 bytes, including the NUL. */
const MAX_SOCKET_PATH = 107;

/**
 * Parses `/path/of/socket`, `HOST:PORT`, `[::1]:PORT`, or `PORT` on 127.0.0.1. Throws ERR_STACKSHIM_SPEC_INVALID, and ERR_STACKSHIM_SPEC_DENIED for
 * an address that other machines can reach unless `isPublicAllowed`.
 */
export function parseHealthAddress(
  text: string,
  { isPublicAllowed }: { readonly isPublicAllowed: boolean },
): HealthAddress {
  if (text.startsWith('/')) {
    if (Buffer.byteLength(text) > MAX_SOCKET_PATH || /[\0\n]|\/$/.test(text)) throw invalid(text);
    return { kind: 'unix', path: text };
  }
  const [, six, name, digits = ''] = HOST_AND_PORT.exec(text) ?? [];
  const port = digits === '' ? Number.NaN : Number(digits);
  if (!(port >= 0 && port <= MAX_PORT)) throw invalid(text);
  const host = six ?? name ?? '127.0.0.1';
  if (LOOPBACK.test(host) || isPublicAllowed) return { kind: 'tcp', host, port };
  const message = `health endpoint on ${text}: other machines can reach this address`;
  throw new StackshimError('ERR_STACKSHIM_SPEC_DENIED', message, {
    hint: 'give a path for a Unix socket, or a port of 127.0.0.1; or add --health-public',
    details: { field: 'health' },
  });
}

const invalid = (text: string) =>
  invalidInput(
    'health',
    `health endpoint ${JSON.stringify(text.slice(0, 200))}: neither the absolute path of a socket nor HOST:PORT`,
  );
