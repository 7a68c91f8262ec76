/** Rewrites errors of `queue` commands and of `worker` for the command line: they name the option, not the field. */
import { errorCodes } from '../../core/error-codes.ts';
import { StackshimError } from '../../core/errors.ts';

/** Options whose names differ from the field's, and fields without an option of their own. */
const NAMES: Readonly<Record<string, string>> = {
  outputs: '--output',
  config: '--config-file',
  configBase64: '--config-file',
  payloadBase64: '--payload',
  labels: '--label',
  ulimits: '--ulimit',
  queue: 'QUEUE',
  queues: 'QUEUE',
  command: 'COMMAND',
  id: 'SCHEDULE',
};

/** Rethrows errors of `act`, with the name of the command's option in place of the field. */
export async function namingOptions<T>(command: string, act: () => Promise<T> | T): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof StackshimError ? nameOption(command, error) : error;
  }
}

function nameOption(command: string, error: StackshimError): StackshimError {
  const { code, message, hint, details, cause } = error;
  const [, field = '', rest = ''] = /^([a-zA-Z0-9]+)(?:\[\d+\])?(.*)$/s.exec(message) ?? [];
  if (field === '' || field !== String(details['field'] ?? '').replace(/[[.].*$/, '')) return error;
  const option = Object.hasOwn(NAMES, field) ? NAMES[field] : toOption(field);
  const isUsual = hint === errorCodes[code].hint;
  const ofCommand = `correct the named option; stackshim ${command} --help lists them`;
  return new StackshimError(code, `${option}${rest}`, {
    hint: isUsual && code === 'ERR_STACKSHIM_SPEC_INVALID' ? ofCommand : hint,
    details,
    cause,
  });
}

const toOption = (field: string) =>
  `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
