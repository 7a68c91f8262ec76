/** What both FFI adapters do alike: bind a function when it is first called, hold the memory it uses, and tell its errno. */
import { type Ffi, type FfiArgument, type LibcFunction, libcArity } from './contract.ts';

/** A libc function that takes and gives integers. */
export type BoundFunction = (...args: readonly (number | bigint)[]) => number | bigint;

export interface Engine {
  bind(name: LibcFunction): BoundFunction;
  addressOf(memory: Uint8Array): number | bigint;
  /** Of the call that has just returned -1. */
  errno(): number;
}

export function libcCalls(engine: Engine): Pick<Ffi, 'call' | 'addressOf'> {
  const bound = new Map<LibcFunction, BoundFunction>();
  /** Until the next call has returned: an engine frees what no variable holds any more, and knows nothing of addresses. */
  const held: Uint8Array[] = [];

  // Each is compiled when it is first called: a short command needs few of them.
  const bind = (name: LibcFunction): BoundFunction => {
    const known = bound.get(name);
    if (known !== undefined) return known;
    const made = engine.bind(name);
    bound.set(name, made);
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

  return {
    call(name, ...args) {
      const call = bind(name);
      const padded = args.map(toInteger);
      while (padded.length < libcArity[name]) padded.push(0);
      const result = Number(call(...padded));
      const returned = result === -1 ? -engine.errno() : result;
      held.length = 0;
      return returned;
    },
    addressOf: (memory) => BigInt(addressOf(memory)),
  };
}
