/** Where a registry keeps stacks and code packages: `PREFIX/STACK`, `PREFIX/code/PACKAGE`, `PREFIX/code/TENANT/PACKAGE`. Pure. */
import { invalidInput } from '../../spec/field-errors.ts';

/** How a worker reaches the registry. */
export interface WorkerRegistry {
  /** `HOST[:PORT]`, optionally with a path. */
  readonly prefix: string;
  /** False: plain HTTP and unknown certificates are accepted. Default: true. */
  readonly tlsVerify?: boolean | undefined;
  /** A credentials file as `docker login` writes it. */
  readonly authFile?: string | undefined;
}

const PREFIX = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?(?:\/[a-z0-9]+(?:[._-][a-z0-9]+)*)*$/;
/** Names of tenants and packages that a registry accepts unchanged. */
const PLAIN = /^(?!x-)[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

/** Throws ERR_STACKSHIM_SPEC_INVALID with `details.field` `registry`. */
export function parseRegistryPrefix(text: string): string {
  if (text.length <= 200 && PREFIX.test(text)) return text;
  const message = `registry ${JSON.stringify(text.slice(0, 200))}: not HOST[:PORT]/PREFIX in lower case`;
  throw invalidInput('registry', message, 'for example registry.example.org:5000/jobs');
}

export const stackPlace = (prefix: string, name: string): string => `${prefix}/${toPart(name)}`;

export const codePlace = (prefix: string, tenant: string | undefined, name: string): string =>
  [prefix, 'code', ...(tenant === undefined ? [] : [toPart(tenant)]), toPart(name)].join('/');

/** Writes other names in hexadecimal, because a registry accepts lower-case names only. */
const toPart = (name: string): string =>
  PLAIN.test(name) ? name : `x-${Buffer.from(name).toString('hex')}`;
