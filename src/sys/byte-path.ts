/** Paths as bytes: decoding a name that is not valid UTF-8 would yield the name of another file. */

/** The path of the entry `name` in the folder `path`. `name` comes from a listing with the encoding `latin1`. */
export function entryPath(path: Buffer, name: string): Buffer {
  return Buffer.concat([path, Buffer.from(`/${name}`, 'latin1')]);
}
