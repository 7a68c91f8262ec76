/** The part of Bun's FFI module that stackshim uses. */
declare module 'bun:ffi' {
  export type Pointer = number & { readonly __pointer: unique symbol };
  interface Signature {
    readonly args: readonly 'i64'[];
    readonly returns: 'i32' | 'i64' | 'ptr';
  }
  export function dlopen<Name extends string>(
    library: string,
    symbols: Readonly<Record<Name, Signature>>,
  ): {
    readonly symbols: Readonly<
      Record<Name, (...args: readonly (number | bigint)[]) => number | bigint>
    >;
  };
  export function ptr(memory: Uint8Array): Pointer;
  export const read: { i32(pointer: Pointer, offset: number): number };
}
