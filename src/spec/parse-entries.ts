/** Parses environment variables and labels given as `K=V` entries, and env files. */
import { invalidField } from './field-errors.ts';
import { checkEnv, checkEnvName, checkLabelKey, checkLabels } from './parse-command.ts';
import { SPEC_BOUNDS } from './spec-bounds.ts';

/** The caller's own environment, from which an entry without `=` takes its value. */
export type CallerEnv = Readonly<Record<string, string | undefined>>;

/** Parses `K=V`, or `K` alone for the caller's value (left out if the caller has none). Later entries win. */
export function parseEnvEntries(
  entries: readonly string[],
  callerEnv: CallerEnv,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of entries) setEntry(env, entry, callerEnv, 'env');
  checkEnv(env, 'env');
  return env;
}

/**
 * Parses docker's env-file format: each line is an entry as for `--env`, with a verbatim value (no quotes, no escapes). Skips blank lines
 * and lines that start with `#`. Throws ERR_STACKSHIM_SPEC_INVALID that names the line.
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
    setEntry(env, line, callerEnv, `envFile line ${index + 1}`);
  }
  checkEnv(env, 'envFile');
  return env;
}

/** `K=V`, or `K` alone. */
const ENTRY = /^([^=]*)(?:=(.*))?$/s;

function setEntry(
  env: Record<string, string>,
  entry: string,
  callerEnv: CallerEnv,
  field: string,
): void {
  const [, name = '', own] = ENTRY.exec(entry) ?? [];
  checkEnvName(name, field);
  const value = own ?? (Object.hasOwn(callerEnv, name) ? callerEnv[name] : undefined);
  if (value !== undefined) env[name] = value;
}

/** Parses `KEY=VALUE`, or `KEY` alone for an empty value. Later entries win. Throws ERR_STACKSHIM_SPEC_INVALID. */
export function parseLabelEntries(entries: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const entry of entries) {
    const [, key = '', value = ''] = ENTRY.exec(entry) ?? [];
    checkLabelKey(key, 'labels');
    labels[key] = value;
  }
  checkLabels(labels, 'labels');
  return labels;
}
