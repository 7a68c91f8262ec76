/** Checks whether everything stored has this version, an earlier one, or one that this program does not know. */
import { StackshimError } from '../core/errors.ts';
import type { Layout } from '../core/layout.ts';
import { type FormatSurvey, surveyFormats } from '../store/survey-store.ts';
import { type Check, failed, passed, required, warned } from './check.ts';

const subject = required('stored formats');

/** Never throws for stored data. Users other than root cannot read it. */
export function checkFormats(layout: Layout): Check {
  if (process.geteuid?.() !== 0) {
    return warned(subject, "not read: they are root's alone", 'run stackshim doctor as root');
  }
  try {
    return judgeFormats(surveyFormats(layout));
  } catch (error) {
    if (!(error instanceof StackshimError)) throw error;
    return warned(subject, error.message, error.hint);
  }
}

function judgeFormats({ unnamed, newer }: FormatSurvey): Check {
  const [first] = newer;
  if (first !== undefined) {
    const more = newer.length === 1 ? '' : ` (and ${newer.length - 1} more)`;
    return failed(subject, `${first.message}${more}`, first.hint);
  }
  if (unnamed.length > 0) {
    const images = unnamed.length === 1 ? '1 image' : `${unnamed.length} images`;
    const message = `everything has the format of this version; the content digest of ${images} is not known yet (stackshim migrate finds it)`;
    return passed(subject, message);
  }
  return passed(subject, 'everything stored has the format of this version');
}
