/** Compares the published schema of data from a queue with the reader: they must agree. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'vitest';
import { StackshimError } from '../../../src/core/errors.ts';
import { parseJobInput } from '../../../src/spec/parse-task-spec.ts';

const schema = readFileSync(new URL('../../../schemas/job.schema.json', import.meta.url), 'utf8');

/** A list may be shorter than its `prefixItems` here. */
const ajv = new Ajv2020({ strict: true, strictTuples: false, strictTypes: false });

/** Whether the published schema accepts a JSON value. */
export const fitsJobSchema = ajv.compile(JSON.parse(schema));

const QUANTITIES = [
  'memory',
  'cpus',
  'pidsLimit',
  'cpuShares',
  'cpuTime',
  'timeout',
  'stopTimeout',
  'buildTimeout',
  'buildMemory',
  'buildDisk',
];
const BUILD_QUANTITIES = ['buildTimeout', 'buildMemory', 'buildDisk'];
const ONLY_READ = new Set([
  ...QUANTITIES,
  ...BUILD_QUANTITIES,
  'outputLimit',
  'disk',
  'stopSignal',
]);
/** A schema counts characters where the reader counts bytes, and counts elements where the reader counts their total. */
const SMALL_CHARS = 250;

/**
 * Reads a JSON value both ways. The schema accepts what the reader accepts, and refuses what the reader refuses, except what a schema
 * cannot express: limits of quantities in text, names of signals, a soft limit above its hard one, sizes in bytes. Returns the reader's
 * error, if any.
 */
export function requireAgreement(value: unknown): StackshimError | undefined {
  const fits = fitsJobSchema(value);
  try {
    parseJobInput(value);
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    if (fits && !isOnlyRead(value, error)) {
      expect.fail(`the schema takes ${JSON.stringify(value)}, the reader: ${error.message}`);
    }
    return error;
  }
  if (!fits) expect.fail(`the reader takes ${JSON.stringify(value)}, the schema does not`);
  return undefined;
}

function isOnlyRead(value: unknown, { details }: StackshimError): boolean {
  const field = String(details?.['field']);
  const found: unknown = Object(value)[field];
  if (ONLY_READ.has(field) && typeof found === 'string') return true;
  if (/^ulimits\[\d+\]$/.test(field)) {
    const [, soft, hard] = /=(-?\d+):(-?\d+)$/.exec(String(details?.['value'])) ?? [];
    return hard !== '-1' && (soft === '-1' || Number(soft) > Number(hard));
  }
  return JSON.stringify(value).length > SMALL_CHARS;
}
