/** A parser under fuzz: every input must give a value or a typed error. */
import { StackshimError } from '../../../src/core/errors.ts';
import { createRandom, mixSeed, type Random } from './fuzz-random.ts';
import type { Watchdog } from './fuzz-watchdog.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { mutateJson } from './mutate-json.ts';

interface CommonTarget {
  readonly name: string;
  /** Names, keywords and separators that have a meaning for the parser. */
  readonly words?: readonly string[];
  /** Its share of all cases, 1 by default. */
  readonly weight?: number;
}

interface TextTarget extends CommonTarget {
  readonly form: 'text';
  /** Valid inputs. */
  readonly samples: readonly string[];
  readonly run: (text: string) => unknown;
}

interface BytesTarget extends CommonTarget {
  readonly form: 'bytes';
  readonly samples: readonly Buffer[];
  readonly run: (bytes: Buffer) => unknown;
  /** Corrects what would hide every other fault, such as checksums and compression. */
  readonly repair?: (bytes: Buffer, random: Random) => Buffer;
}

/** A JavaScript value, as a caller of the library passes it. */
interface ValueTarget extends CommonTarget {
  readonly form: 'value';
  readonly samples: readonly unknown[];
  readonly run: (value: unknown) => unknown;
}

/** A JSON document as bytes. */
interface DocumentTarget extends CommonTarget {
  readonly form: 'document';
  readonly samples: readonly unknown[];
  readonly run: (bytes: Buffer) => unknown;
}

export type FuzzTarget = TextTarget | BytesTarget | ValueTarget | DocumentTarget;

/** Parses every sample unchanged: a parser that refuses everything would pass otherwise. Rejects with the parser's error. */
export async function acceptSamples(target: FuzzTarget): Promise<void> {
  for (const sample of target.samples) await runTarget(target, toInput(target, sample));
}

export interface FuzzOptions {
  readonly seed: number;
  readonly cases: number;
  readonly watchdog: Watchdog;
  /** Runs only this case. */
  readonly only?: number | undefined;
}

/** Runs the cases; throws for the first input without a value or a StackshimError. */
export async function fuzzTarget(target: FuzzTarget, options: FuzzOptions): Promise<void> {
  const { seed, cases, watchdog, only } = options;
  for (let index = only ?? 0; index < (only === undefined ? cases : only + 1); index++) {
    watchdog.begin(target.name, index);
    const input = makeCase(target, createRandom(mixSeed(seed, target.name, index)));
    const fault = await judge(target, input);
    if (fault === undefined) continue;
    const again = `STACKSHIM_FUZZ_SEED=${seed} STACKSHIM_FUZZ_CASE=${index}`;
    throw new Error(`${target.name}, case ${index} (${again}): ${fault}\ninput: ${show(input)}`);
  }
}

/** What is wrong with the outcome of an input; undefined if nothing. */
export async function judge(target: FuzzTarget, input: unknown): Promise<string | undefined> {
  try {
    await runTarget(target, input);
    return undefined;
  } catch (error) {
    if (!(error instanceof StackshimError)) {
      return error instanceof Error ? (error.stack ?? error.message) : `threw ${String(error)}`;
    }
    return judgeError(error);
  }
}

const MAX_ERROR_CHARS = 64 * 1024;

/** An overlong error is a fault as well, because errors are logged, stored and sent. */
function judgeError(error: StackshimError): string | undefined {
  const { length } = JSON.stringify(error);
  if (length > MAX_ERROR_CHARS) return `its error has ${length} characters: ${error.code}`;
  return error.code === 'ERR_STACKSHIM_INTERNAL' ? (error.stack ?? error.message) : undefined;
}

/** Converts a sample to the parser's input. */
function toInput(target: FuzzTarget, sample: unknown): unknown {
  return target.form === 'document' ? Buffer.from(JSON.stringify(sample)) : sample;
}

function runTarget(target: FuzzTarget, input: unknown): unknown {
  const run = target.run as (input: unknown) => unknown;
  return run(input);
}

function makeCase(target: FuzzTarget, random: Random): unknown {
  const { words } = target;
  switch (target.form) {
    case 'text': {
      const samples = target.samples.map((text) => Buffer.from(text));
      return mutateBytes(random.pick(samples), { random, samples, words }).toString('utf8');
    }
    case 'bytes': {
      const { samples, repair } = target;
      const bytes = mutateBytes(random.pick(samples), { random, samples, words });
      return repair === undefined ? bytes : repair(bytes, random);
    }
    case 'value':
      return mutateJson(random.pick(target.samples), { random, samples: textsOf(target), words });
    case 'document': {
      const samples = textsOf(target);
      if (random.chance(0.3)) return mutateBytes(random.pick(samples), { random, samples, words });
      const value = mutateJson(random.pick(target.samples), { random, samples, words });
      return Buffer.from(JSON.stringify(value) ?? 'null');
    }
  }
}

const texts = new WeakMap<FuzzTarget, readonly Buffer[]>();

function textsOf(target: FuzzTarget): readonly Buffer[] {
  let known = texts.get(target);
  if (known === undefined) {
    known = target.samples.map((sample) => Buffer.from(JSON.stringify(sample)));
    texts.set(target, known);
  }
  return known;
}

const SHOWN_CHARS = 4000;

function show(input: unknown): string {
  if (Buffer.isBuffer(input)) return `base64 ${input.toString('base64').slice(0, SHOWN_CHARS)}`;
  return (JSON.stringify(input) ?? String(input)).slice(0, SHOWN_CHARS);
}
