/**
 * Whether a cron pattern ever has a day. Searching for the next date of a pattern that has none blocks the event loop for more than a second, and
 * there are many producers. Pure.
 */

const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const MOST_CHARS = 200;

/** False for a day that none of the months has, and for more than 200 characters. Meaningless for text that is not a pattern. */
export function hasDay(pattern: string): boolean {
  if (pattern.length > MOST_CHARS) return false;
  const [days = '*', months = '*', weekdays = '*'] = pattern.trim().split(/\s+/).slice(-3);
  // With a day of the week, either day field is enough.
  if (!isAny(weekdays) || isAny(days)) return true;
  // Letters are special: the last day, a weekday, or (h) a random day.
  if (/[a-z]/i.test(days)) return !/h/i.test(days);
  const first = Math.min(...days.split(',').map((part) => Number.parseInt(part, 10) || 1));
  return monthsOf(months).some((month) => (DAYS[month - 1] ?? 0) >= first);
}

const isAny = (field: string): boolean => field === '*' || field === '?';

function monthsOf(field: string): readonly number[] {
  return field.split(',').flatMap((part) => {
    const [range = '', step] = part.split('/');
    const [from = '', to] = isAny(range) ? ['1', '12'] : range.split('-');
    const first = toMonth(from);
    const last = to !== undefined ? toMonth(to) : step === undefined ? first : DAYS.length;
    const by = Math.max(1, Number(step) || 1);
    return DAYS.map((_, at) => at + 1).filter(
      (month) => month >= first && month <= last && (month - first) % by === 0,
    );
  });
}

const toMonth = (text: string): number => {
  const name = MONTHS.indexOf(text.toLowerCase());
  return name === -1 ? Number(text) : name + 1;
};
