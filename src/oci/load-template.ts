/** Bundle templates by name. */
import { templates } from '#templates';
import { StackshimError } from '../core/errors.ts';
import type { BundleTemplate } from './bundle-template.ts';

const MAX_SHOWN_CHARS = 200;

/** The template of that name. Throws ERR_STACKSHIM_SPEC_INVALID that lists those there are. */
export function loadTemplate(name: string): BundleTemplate {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (template !== undefined) return template;
  const known = Object.keys(templates);
  // An image's label may be as long as it likes.
  const shown = name.slice(0, MAX_SHOWN_CHARS);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `bundle ${JSON.stringify(shown)}: no such template; the templates are ${known.join(', ')}`,
    { details: { field: 'bundle', value: shown, known } },
  );
}

/** What choosing the template of that name gives up, for people; undefined: nothing, or there is no such template. */
export const warnOfTemplate = (name: string): string | undefined =>
  Object.hasOwn(templates, name) ? templates[name]?.warning : undefined;
