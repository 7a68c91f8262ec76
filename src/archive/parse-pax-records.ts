/** Parses the records of a PAX extended header: `<length> <key>=<value>`, then a line feed. Values stay bytes. */
import type { ByteString } from './tar-entry.ts';

/** The records by key (a key's last record counts), or the reason why they are invalid. */
export function parsePaxRecords(body: Buffer): ReadonlyMap<ByteString, Buffer> | string {
  const records = new Map<ByteString, Buffer>();
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? '' : body.toString('latin1', at, space);
    if (!/^[1-9][0-9]{0,9}$/.test(digits)) return 'PAX record has no length';
    const end = at + Number(digits);
    if (end > body.length || end <= space || body[end - 1] !== 0x0a) {
      return 'PAX record is not as long as it says';
    }
    const equals = body.indexOf(0x3d, space);
    if (equals === -1 || equals >= end || equals === space + 1) return 'PAX record has no key';
    const key = body.toString('latin1', space + 1, equals);
    if (key.includes('\0')) return 'PAX record has a NUL in its key';
    records.set(key, body.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}
