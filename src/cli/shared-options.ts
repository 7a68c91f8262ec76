/** Options that several commands share. */
import { StackshimError } from '../core/errors.ts';
import type { RegistryOptions } from '../exchange/registry/run-skopeo.ts';

export const JSON_FLAG = ['--json', 'print JSON'] as const;

/** The value that commander passes on. */
export interface JsonOption {
  readonly json?: boolean;
}

const MAX_NUMBER = 999_999_999;

/**
 * A number of revisions, or a revision's number: at least 1; undefined for undefined. Throws ERR_STACKSHIM_SPEC_INVALID that names the
 * field.
 */
export function toPositive(field: string, text: string): number;

export function toPositive(field: string, text: string | undefined): number | undefined;

export function toPositive(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_NUMBER) return number;
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `${field} ${JSON.stringify(text)}: not a whole number from 1`,
    { details: { field } },
  );
}

export interface ExchangeCommandOptions {
  readonly smoke?: string;
  readonly json?: boolean;
}

export interface RegistryCommandOptions extends ExchangeCommandOptions {
  readonly tlsVerify: string;
  readonly authfile?: string;
}

export function toRegistryOptions({
  tlsVerify,
  authfile,
}: RegistryCommandOptions): RegistryOptions {
  if (tlsVerify !== 'true' && tlsVerify !== 'false') {
    throw new StackshimError(
      'ERR_STACKSHIM_SPEC_INVALID',
      `read --tls-verify ${JSON.stringify(tlsVerify)}: neither true nor false`,
      { details: { field: 'tlsVerify' } },
    );
  }
  return { tlsVerify: tlsVerify === 'true', authFile: authfile };
}
