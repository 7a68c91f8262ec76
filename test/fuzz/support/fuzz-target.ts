/** A parser under fuzz, and what is asked of it: any input ends in a value or in a typed error. */
import { StackshimError } from '../../../src/core/errors.ts';
import { createRandom, mixSeed, type Random } from './fuzz-random.ts';
import type { Watchdog } from './fuzz-watchdog.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { mutateJson } from './mutate-json.ts';

interface CommonTarget {
  readonly name: string;
  /** Names, keywords and separators that mean something to the parser. */
  readonly words?: readonly string[];
  /** Its part of all cases, 1 by default. */
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
  /** Makes right again what would hide every other fault: checksums, compression. */
  readonly repair?: (bytes: Buffer, random: Random) => Buffer;
}

/** A value of JavaScript, as the library is given it. */
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

/** Every sample unchanged: a parser that refuses all there is would pass any fuzz. Rejects with what the parser throws. */
export async function acceptSamples(target: FuzzTarget): Promise<void> {
  for (const sample of target.samples) await runTarget(target, toInput(target, sample));
}

export interface FuzzOptions {
  readonly seed: number;
  readonly cases: number;
  readonly watchdog: Watchdog;
  /** Only this one. */
  readonly only?: number | undefined;
}

/** Runs the cases; throws with the first input that ended in anything but a value or a StackshimError. */
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

/** What is wrong with how one input ended; undefined: nothing. */
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

/** An error that is as long as the input is a hole of its own: it is logged, stored and sent. */
function judgeError(error: StackshimError): string | undefined {
  const { length } = JSON.stringify(error);
  if (length > MAX_ERROR_CHARS) return `its error has ${length} characters: ${error.code}`;
  return error.code === 'ERR_STACKSHIM_INTERNAL' ? (error.stack ?? error.message) : undefined;
}

/** What the parser is given for a sample. */
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
