/** Which programs in the kernel's pool count as those of a probe. */
import { expect, it } from 'vitest';
import { countLargeFilters } from '../security/support/filter-pool.ts';

const line = (bytes: number, caller: string) =>
  `0xffffc90000dd9000-0xffffc90000de3000 ${String(bytes).padStart(7)} ${caller}+0x39/0x230 pages=9 vmalloc N0=9\n`;

it.each([
  ['one program of 4,096 instructions', [line(40_960, 'bpf_prog_alloc_no_stats')], 1],
  ['one program that has grown', [line(40_960, 'bpf_prog_realloc')], 1],
  [
    'no programs of runtimes',
    [line(8192, 'bpf_prog_alloc_no_stats'), line(12_288, 'bpf_prog_realloc')],
    0,
  ],
  ['no packs of compiled code', [line(2_101_248, 'bpf_prog_pack_alloc')], 0],
  ['no pack of a program’s size', [line(40_960, 'bpf_prog_pack_alloc')], 0],
  ['no other memory of the kernel', [line(40_960, 'module_alloc')], 0],
  ['none', [''], 0],
])('the number of programs in the pool: %s', (_, lines, count) => {
  expect(countLargeFilters(lines.join(''))).toBe(count);
});
