/** Options that the commands of the exchange share. */
import { StackshimError } from '../core/errors.ts';
import type { RegistryOptions } from '../exchange/registry/run-skopeo.ts';

export interface ExchangeCommandOptions {
  readonly smoke?: string;
  readonly json?: boolean;
}

export interface RegistryCommandOptions extends ExchangeCommandOptions {
  readonly tlsVerify: string;
  readonly authfile?: string;
}

export const toSmoke = ({ smoke }: ExchangeCommandOptions) =>
  smoke === undefined ? {} : { smoke };

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
  const auth = authfile === undefined ? {} : { authFile: authfile };
  return { tlsVerify: tlsVerify === 'true', ...auth };
}
