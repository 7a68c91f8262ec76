/** JSON that all parsers read the same way. */
import { expect, it } from 'vitest';
import { AmbiguousJson, parseStrictJson } from '../../src/core/strict-json.ts';
import { parseDocument } from '../../src/exchange/oci-image/oci-blobs.ts';
import { configSchema, manifestSchema } from '../../src/exchange/oci-image/oci-schemas.ts';

it.each([
  '{}',
  '[1, "a:b", {"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}]',
  '{"quote\\"d": "\\\\", "a": "{\\"a\\": 1, \\"a\\": 2}" , "A" : null}',
  '"text"',
])('%s is read as by JSON.parse', (text) => {
  expect(parseStrictJson(text)).toEqual(JSON.parse(text));
});

it.each([
  ['{"a": 1, "a": 1}', 'a'],
  ['{"a":1,"\\u0061":2}', 'a'],
  ['[{"b": [{"": 1, "x": {}, "" :2}]}]', ''],
  ['{"__proto__": 1, "__proto__": 2}', '__proto__'],
])('%s is refused', (text, key) => {
  expect(() => parseStrictJson(text)).toThrow(
    new AmbiguousJson(`the key ${JSON.stringify(key)} comes twice`),
  );
});

it('text that is not JSON is refused, as by JSON.parse', () => {
  expect(() => parseStrictJson('{"a": 1')).toThrow(SyntaxError);
});

const digest = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: 'x', digest, size: 1 };
const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
const read = (value: object) =>
  parseDocument(Buffer.from(JSON.stringify(value)), manifestSchema, 'manifest');

it.each([
  [{ ...manifest, LAYERS: [] }, 'LAYERS', 'layers'],
  [{ ...manifest, MediaType: 'x' }, 'MediaType', 'mediaType'],
  [{ ...manifest, layers: [{ ...descriptor, \u017fize: 2 }] }, '\u017fize', 'size'],
  [{ ...manifest, config: { ...descriptor, Digest: digest } }, 'Digest', 'digest'],
])('a document cannot have a known key in another case: %j', (value, key, meant) => {
  expect(() => read(value)).toThrow(
    expect.objectContaining({
      code: 'ERR_STACKSHIM_IMAGE_INVALID',
      message: `read manifest: the key ${JSON.stringify(key)}, which some take for ${JSON.stringify(meant)}`,
    }),
  );
});

it('labels and annotations can have any names, and a document can have other keys', () => {
  const annotations = { Name: 'a', name: 'b' };
  expect(
    read({ ...manifest, artifactType: 'y', layers: [{ ...descriptor, annotations }] }),
  ).toEqual({
    ...manifest,
    layers: [{ ...descriptor, annotations }],
  });
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { Vendor: '1', vendor: '2' } },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  expect(parseDocument(Buffer.from(JSON.stringify(config)), configSchema, 'config')).toEqual(
    config,
  );
});
