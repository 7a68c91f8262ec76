/** Parses environment variables and labels, given as maps or as `K=V` entries. */
import { invalidField } from './field-errors.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** The caller's own environment, from which an entry without `=` takes its value. */
export type CallerEnv = Readonly<Record<string, string | undefined>>;

// As in docker: names that a shell could not use are allowed, except names that would be read as something else.
const NAME = /^[^=\s\p{Cc}]+$/u;

/** Throws ERR_STACKSHIM_SPEC_INVALID unless `name` can name a variable. */
function checkEnvName(name: string, field: string): void {
  if (name.length > SPEC_BOUNDS.envNameChars || !NAME.test(name) || name === '__proto__') {
    throw invalidField(field, 'not the name of a variable', name);
  }
}

/** Throws ERR_STACKSHIM_SPEC_INVALID when the variables are too many or too long, or contain a NUL. */
export function checkEnv(env: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(env);
  if (entries.length > SPEC_BOUNDS.envEntries) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.envEntries} variables`);
  }
  let total = 0;
  for (const [name, value] of entries) {
    checkEnvName(name, field);
    if (value.includes('\0')) throw invalidField(`${field}.${name}`, 'a value with a NUL');
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value) + 1;
    if (bytes > SPEC_BOUNDS.argumentBytes) {
      throw invalidField(`${field}.${name}`, `longer than ${SPEC_BOUNDS.argumentBytes} bytes`);
    }
    total += bytes;
  }
  if (total > SPEC_BOUNDS.envBytes) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.envBytes} bytes in all`);
  }
}

/** `K=V`, or `K` alone for the caller's value (left out when the caller has none); a later entry wins. */
export function parseEnvEntries(
  entries: readonly string[],
  callerEnv: CallerEnv,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of entries) setEntry(env, entry, { callerEnv, field: 'env' });
  checkEnv(env, 'env');
  return env;
}

/**
 * Docker's env-file format: one entry a line as for `--env`, values verbatim (no quotes, no escapes); blank lines and
 * lines that start with `#` are skipped. Throws ERR_STACKSHIM_SPEC_INVALID that names the line.
 */
export function parseEnvFile(text: string, callerEnv: CallerEnv): Record<string, string> {
  if (text.length > SPEC_BOUNDS.envBytes) {
    throw invalidField('envFile', `longer than ${SPEC_BOUNDS.envBytes} characters`);
  }
  const env: Record<string, string> = {};
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  for (const [index, raw] of lines.entries()) {
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    setEntry(env, line, { callerEnv, field: `envFile line ${index + 1}` });
  }
  checkEnv(env, 'envFile');
  return env;
}

function setEntry(
  env: Record<string, string>,
  entry: string,
  { callerEnv, field }: { readonly callerEnv: CallerEnv; readonly field: string },
): void {
  const at = entry.indexOf('=');
  const name = at === -1 ? entry : entry.slice(0, at);
  checkEnvName(name, field);
  const inherited = Object.hasOwn(callerEnv, name) ? callerEnv[name] : undefined;
  const value = at === -1 ? inherited : entry.slice(at + 1);
  if (value !== undefined) env[name] = value;
}

export const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;

/** `KEY=VALUE`, or `KEY` alone for an empty value; a later entry wins. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseLabelEntries(entries: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const entry of entries) {
    const at = entry.indexOf('=');
    const key = at === -1 ? entry : entry.slice(0, at);
    checkLabelKey(key, 'labels');
    labels[key] = at === -1 ? '' : entry.slice(at + 1);
  }
  checkLabels(labels, 'labels');
  return labels;
}

/** Throws ERR_STACKSHIM_SPEC_INVALID when labels are too many, too long or have an unusable key. */
export function checkLabels(labels: Readonly<Record<string, string>>, field: string): void {
  const entries = Object.entries(labels);
  if (entries.length > SPEC_BOUNDS.labels) {
    throw invalidField(field, `more than ${SPEC_BOUNDS.labels} labels`);
  }
  for (const [key, value] of entries) {
    checkLabelKey(key, field);
    if (value.length > SPEC_BOUNDS.labelValueChars || value.includes('\0')) {
      throw invalidField(
        `${field}.${key}`,
        `not ${SPEC_BOUNDS.labelValueChars} characters or less without NUL`,
      );
    }
  }
}

function checkLabelKey(key: string, field: string): void {
  const usable = LABEL_KEY.test(key) && key.length <= SPEC_BOUNDS.labelKeyChars;
  if (!usable)
    throw invalidField(field, 'not a key of letters, digits, ".", "_", "/" and "-"', key);
}
