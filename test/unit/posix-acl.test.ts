/** Moving access control lists into another range of ids. */
import { expect, it } from 'vitest';
import { parsePosixAcl, shiftPosixAcl } from '../../src/archive/posix-acl.ts';

const NONE = 0xffff_ffff;
type Entry = readonly [tag: number, permissions: number, id?: number];

function toAcl(entries: readonly Entry[], version = 2): Buffer {
  const value = Buffer.alloc(4 + entries.length * 8);
  value.writeUInt32LE(version, 0);
  for (const [index, [tag, permissions, id = NONE]] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + index * 8);
    value.writeUInt16LE(permissions, 6 + index * 8);
    value.writeUInt32LE(id, 8 + index * 8);
  }
  return value;
}

const named = (user: number, group: number): readonly Entry[] => [
  [1, 7],
  [2, 6, user],
  [4, 5],
  [8, 0, group],
  [0x10, 7],
  [0x20, 0],
];

it('ids of users and groups are moved, and nothing else', () => {
  expect(shiftPosixAcl(toAcl(named(1000, 1099)), 1000, 100)).toEqual(toAcl(named(0, 99)));
  const plain: readonly Entry[] = [
    [1, 7],
    [4, 5],
    [0x20, 0],
  ];
  expect(shiftPosixAcl(toAcl(plain), 1000, 100)).toEqual(toAcl(plain));
});

it.each([
  [named(999, 1000), 'user 999'],
  [named(1000, 1100), 'group 1100'],
])('an id outside the range is named', (entries, who) => {
  expect(shiftPosixAcl(toAcl(entries), 1000, 100)).toBe(
    `its access control list names ${who}, which is not an id of the task`,
  );
});

it.each([
  ['nothing', Buffer.alloc(0)],
  ['no entries', toAcl([])],
  ['another version', toAcl(named(1, 2), 1)],
  ['half an entry', toAcl(named(1, 2)).subarray(0, -4)],
  [
    'an unknown tag',
    toAcl([
      [1, 7],
      [4, 5],
      [0x20, 0],
      [0x40, 0],
    ]),
  ],
  [
    'an unknown permission',
    toAcl([
      [1, 8],
      [4, 5],
      [0x20, 0],
    ]),
  ],
  [
    'no mask beside a named user',
    toAcl([
      [1, 7],
      [2, 7, 5],
      [4, 5],
      [0x20, 0],
    ]),
  ],
  [
    'another order',
    toAcl([
      [4, 5],
      [1, 7],
      [0x20, 0],
    ]),
  ],
  [
    'two owners',
    toAcl([
      [1, 7],
      [1, 7],
      [4, 5],
      [0x20, 0],
    ]),
  ],
  ['the id of nobody', toAcl(named(NONE, 2))],
])('an access control list with %s is malformed', (_, value) => {
  expect(parsePosixAcl(value)).toBe('its access control list is malformed');
});
