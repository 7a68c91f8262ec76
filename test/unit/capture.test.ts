/** Which part of a stream is kept, and how much memory that needs. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamCapture } from '../../src/task/streams/capture.ts';

/** The first and the last half, computed from the whole stream. */
function expected(text: string, captureBytes: number): string {
  const half = Math.floor(captureBytes / 2);
  if (text.length <= 2 * half) return text;
  const lost = text.length - 2 * half;
  return `${text.slice(0, half)}\n[${lost} bytes left out]\n${half === 0 ? '' : text.slice(-half)}`;
}

it('the first and the last half are kept, however the stream is cut into chunks', () => {
  const chunk = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 60 }), fc.nat(200), (chunks, captureBytes) => {
      const capture = new StreamCapture(captureBytes);
      for (const each of chunks) capture.push(Buffer.from(each));
      const text = chunks.join('');
      expect(capture.text()).toBe(expected(text, captureBytes));
      expect(capture.truncated).toBe(text.length > 2 * Math.floor(captureBytes / 2));
    }),
    { numRuns: 500 },
  );
});

it('captured output does not change when the memory of its chunks is reused', () => {
  const capture = new StreamCapture(100);
  const memory = Buffer.from('first ');
  capture.push(memory);
  memory.fill('x');
  expect(capture.text()).toBe('first ');
});

it('capturing needs only the memory that it keeps, not that of all chunks', () => {
  const capture = new StreamCapture(1_048_576);
  const used = () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const held: StreamCapture[] = [capture];
  const before = used();
  let most = 0;
  for (let count = 0; count < 1_200_000; count += 1) {
    capture.push(Buffer.allocUnsafe(1).fill('x'));
    if (count % 50_000 === 0) most = Math.max(most, used() - before);
  }
  expect(held).toHaveLength(1);
  expect(most).toBeLessThan(100 * 1_048_576);
  expect(capture.truncated).toBe(true);
});
