/** Compares versions of Debian packages as dpkg does: deb-version(7). Pure. */

/** Negative if `one` is older than `other`, positive if newer, 0 if dpkg sees no difference. */
export function compareDebianVersions(one: string, other: string): number {
  const [a, b] = [parse(one), parse(other)];
  return (
    a.epoch - b.epoch ||
    compareParts(a.upstream, b.upstream) ||
    compareParts(a.revision, b.revision)
  );
}

/** Splits a version; the revision follows the last hyphen. */
function parse(text: string) {
  const [, epoch = '0', upstream = '', revision = ''] =
    /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/s.exec(text) ?? [];
  return { epoch: Number(epoch), upstream, revision };
}

/** Compares parts without digits and numbers alternately. */
function compareParts(one: string, other: string): number {
  const [a, b] = [split(one), split(other)];
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [left = '', right = ''] = [a[index], b[index]];
    const order = index % 2 === 0 ? compareWords(left, right) : compareNumbers(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

/** Splits text into words and numbers alternately. A word comes first and may be empty. */
const split = (text: string): readonly string[] =>
  [...text.matchAll(/(\D*)(\d*)/g)].flatMap(([, word = '', digits = '']) => [word, digits]);

/** Orders `~` before the end, the end before letters, and letters before other characters. */
function compareWords(one: string, other: string): number {
  for (let index = 0; index < Math.max(one.length, other.length); index += 1) {
    const order = weightOf(one[index]) - weightOf(other[index]);
    if (order !== 0) return order;
  }
  return 0;
}

function weightOf(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[a-z]/i.test(character) ? code : code + 0x100;
}

/** Compares digit by digit, because a number may exceed the range of JavaScript numbers. */
function compareNumbers(one: string, other: string): number {
  const [a, b] = [one, other].map((digits) => digits.replace(/^0+/, '')) as [string, string];
  return a.length - b.length || (a === b ? 0 : a < b ? -1 : 1);
}
