/** Every TypeScript example of the documents compiles against the library's source. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  EXAMPLE_DOCUMENTS,
  readExamples,
  type WrittenExamples,
  writeExamples,
} from '../support/docs/doc-examples.ts';

const examples = EXAMPLE_DOCUMENTS.flatMap(readExamples);
let written: WrittenExamples;

beforeAll(() => {
  written = writeExamples([
    ...examples,
    {
      place: 'a mistake',
      code: "import { runTask } from 'stackshim';\nrunTask({ stack: 1 });\n",
      prints: undefined,
    },
  ]);
});

afterAll(() => written.dispose());

test('the examples of the documents compile, and a mistake in one would not', () => {
  const complaints = written.compile({}).trim().split('\n');
  const mistakes = complaints.filter((line) => line.includes(`/${examples.length}.ts(`));
  expect(mistakes).toHaveLength(1);
  expect(mistakes[0]).toMatch(/error TS2322/);
  const others = complaints.filter(
    (line) => line.includes('.examples-') && !mistakes.includes(line),
  );
  expect(others.map((line) => nameExample(line))).toEqual([]);
});

test('each document has examples', () => {
  for (const document of EXAMPLE_DOCUMENTS) expect(readExamples(document)).not.toEqual([]);
});

/** The compiler's message with the example's place in its document. */
function nameExample(complaint: string): string {
  const index = /\/(\d+)\.ts\(/.exec(complaint)?.[1];
  return `${examples[Number(index)]?.place ?? ''}: ${complaint}`;
}
