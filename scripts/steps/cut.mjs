/** Shortens a text for people: it says how many lines are left out. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's colours begin with one.
const COLOURS = /\u001b\[[\d;]*m/g;

/**
 * The beginning of a text, which may contain all output of a program, without colours.
 * @param {string} text
 * @param {{lines: number, chars: number}} most
 */
export function cut(text, most) {
  const all = text.replace(COLOURS, '').trim();
  const count = all.split('\n').length;
  const kept = all.slice(0, most.chars).split('\n').slice(0, most.lines);
  const left = count - kept.length;
  if (left > 0) kept.push(`… ${left} more lines`);
  return kept.join('\n');
}
