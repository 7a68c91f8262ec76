/** Bundle templates by name. */
import { templates } from '#templates';
import { StackshimError } from '../core/errors.ts';
import type { BundleTemplate } from './bundle-template.ts';

const MAX_SHOWN_CHARS = 200;

/** The template with that name. Throws ERR_STACKSHIM_SPEC_INVALID that lists the known names. */
export function loadTemplate(name: string): BundleTemplate {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (template !== undefined) return template;
  const known = Object.keys(templates);
  // The name may come from an image's label, which has no length limit.
  const shown = name.slice(0, MAX_SHOWN_CHARS);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `bundle ${JSON.stringify(shown)}: no such template; the templates are ${known.join(', ')}`,
    { details: { field: 'bundle', value: shown, known } },
  );
}

/** What a user of that template gives up, in plain text; undefined: nothing, or no such template. */
export const warnOfTemplate = (name: string): string | undefined =>
  Object.hasOwn(templates, name) ? templates[name]?.warning : undefined;
