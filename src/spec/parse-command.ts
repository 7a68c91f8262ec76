/** The arguments of a task's command. */
import { invalidField } from './invalid-field.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** Throws ERR_STACKSHIM_SPEC_INVALID for arguments that the kernel would refuse. */
export function parseCommand(command: readonly string[], field: string): readonly string[] {
  let total = 0;
  for (const [i, argument] of command.entries()) {
    if (argument.includes('\0')) throw invalidField(`${field}[${i}]`, 'an argument with a NUL');
    const bytes = Buffer.byteLength(argument);
    if (bytes > SPEC_BOUNDS.argumentBytes) {
      throw invalidField(`${field}[${i}]`, `longer than ${SPEC_BOUNDS.argumentBytes} bytes`);
    }
    total += bytes + 1;
  }
  if (total > SPEC_BOUNDS.commandBytes) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.commandBytes} bytes in all`);
  }
  if (command[0] === '') throw invalidField(`${field}[0]`, 'an empty name');
  return command;
}

/** In docker, an empty text means no entrypoint. */
export function parseEntrypoint(
  entrypoint: string | readonly string[],
  field: string,
): readonly string[] {
  const words = typeof entrypoint === 'string' ? [entrypoint] : entrypoint;
  return words.length === 1 && words[0] === '' ? [] : parseCommand(words, field);
}
