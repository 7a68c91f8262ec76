/** What both FFI adapters do alike: bind a function when it is first called, hold the memory it uses, and tell its errno. */
import { type Ffi, type FfiArgument, type LibcFunction, libcArity } from './contract.ts';

/** A libc function that takes and gives integers. */
export type BoundFunction = (...args: readonly (number | bigint)[]) => number | bigint;

export interface Engine<Bound extends BoundFunction> {
  /** Throws when the C library has no such function. */
  bind(name: LibcFunction): Bound;
  addressOf(memory: Uint8Array): number | bigint;
  /** Of the call that has just returned -1. */
  errno(): number;
}

/** A call that somebody else makes. */
export interface PreparedCall<Bound extends BoundFunction> {
  readonly bound: Bound;
  readonly integers: readonly (number | bigint)[];
  /** What the call uses: to be kept until it has returned. */
  readonly memory: readonly Uint8Array[];
}

interface LibcCalls<Bound extends BoundFunction> extends Pick<Ffi, 'call' | 'addressOf' | 'has'> {
  prepare(name: LibcFunction, args: readonly FfiArgument[]): PreparedCall<Bound>;
}

export function libcCalls<Bound extends BoundFunction>(engine: Engine<Bound>): LibcCalls<Bound> {
  const boundFunctions = new Map<LibcFunction, Bound>();
  /** Until the next call has returned: an engine frees what no variable holds any more, and knows nothing of addresses. */
  const held: Uint8Array[] = [];

  // Each is compiled when it is first called: a short command needs few of them.
  const bind = (name: LibcFunction): Bound => {
    const known = boundFunctions.get(name);
    if (known !== undefined) return known;
    const made = engine.bind(name);
    boundFunctions.set(name, made);
    return made;
  };
  const addressOf = (memory: Uint8Array): number | bigint => {
    held.push(memory);
    return engine.addressOf(memory);
  };
  const toInteger = (argument: FfiArgument): number | bigint => {
    if (typeof argument === 'string') return addressOf(Buffer.from(`${argument}\0`));
    return argument instanceof Uint8Array ? addressOf(argument) : argument;
  };
  const toIntegers = (name: LibcFunction, args: readonly FfiArgument[]) => {
    const integers = args.map(toInteger);
    while (integers.length < libcArity[name]) integers.push(0);
    return integers;
  };

  return {
    call(name, ...args) {
      const call = bind(name);
      const result = Number(call(...toIntegers(name, args)));
      const returned = result === -1 ? -engine.errno() : result;
      held.length = 0;
      return returned;
    },
    prepare(name, args) {
      const bound = bind(name);
      const integers = toIntegers(name, args);
      return { bound, integers, memory: held.splice(0) };
    },
    has(name) {
      try {
        bind(name);
        return true;
      } catch {
        return false;
      }
    },
    addressOf: (memory) => BigInt(addressOf(memory)),
  };
}
