/** Paths as the bytes that they are: a name that is no UTF-8, read as text, becomes the name of another. */

/** What `name` is in the folder `path`: one that the folder was read for with the encoding `latin1`. */
export function entryPath(path: Buffer, name: string): Buffer {
  return Buffer.concat([path, Buffer.from(`/${name}`, 'latin1')]);
}
