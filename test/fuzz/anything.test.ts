/** Parsers handle values of any type. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isFullRun } from '../support/timing/full-run.ts';
import { useFuzzFiles } from './support/fuzz-files.ts';
import { configureProperties } from './support/fuzz-settings.ts';
import { judge } from './support/fuzz-target.ts';
import { allTargets } from './targets/all-targets.ts';

configureProperties();
const files = useFuzzFiles();

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.lorem());
const anyValue = fc.anything({
  ...{ withBigInt: true, withBoxedValues: true, withDate: true, withMap: true, withSet: true },
  ...{
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  },
});
const inputs = {
  text: anyText,
  value: anyValue,
  bytes: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  document: fc
    .oneof(
      anyText,
      fc.jsonValue().map((value) => JSON.stringify(value)),
    )
    .map((text) => Buffer.from(text)),
} as const;
const targets = allTargets(files);

it.each(targets.map((target) => [target.name, target] as const))(
  '%s accepts or refuses any input',
  async (_, target) => {
    const input: fc.Arbitrary<unknown> = inputs[target.form];
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        expect(await judge(target, given)).toBeUndefined();
      }),
      { numRuns: isFullRun ? 1000 : 100 },
    );
  },
  600_000,
);
