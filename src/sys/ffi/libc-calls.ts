/** The common part of both FFI adapters: binds a function at its first call, keeps the memory that a call uses, and returns its errno. */
import { type Ffi, type FfiArgument, type LibcFunction, libcArity } from './contract.ts';

/** A libc function that takes and returns integers. */
export type BoundFunction = (...args: readonly (number | bigint)[]) => number | bigint;

export interface Engine<Bound extends BoundFunction> {
  /** Throws if the C library has no such function. */
  bind(name: LibcFunction): Bound;
  addressOf(memory: Uint8Array): number | bigint;
  /** The errno of the call that has just returned -1. */
  errno(): number;
}

/** A call that the adapter makes itself. */
export interface PreparedCall<Bound extends BoundFunction> {
  readonly bound: Bound;
  readonly integers: readonly (number | bigint)[];
  /** Memory that the call uses; keep it until the call has returned. */
  readonly memory: readonly Uint8Array[];
}

interface LibcCalls<Bound extends BoundFunction> extends Pick<Ffi, 'call' | 'addressOf' | 'has'> {
  prepare(name: LibcFunction, args: readonly FfiArgument[]): PreparedCall<Bound>;
}

export function libcCalls<Bound extends BoundFunction>(engine: Engine<Bound>): LibcCalls<Bound> {
  const boundFunctions = new Map<LibcFunction, Bound>();
  /** Memory of the next call, kept until that call has returned: the engine frees memory that no variable holds, and does not follow addresses. */
  const held: Uint8Array[] = [];

  // A function is compiled at its first call, because a short command needs few of them.
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
