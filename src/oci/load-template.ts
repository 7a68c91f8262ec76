/** Bundle templates by name. */
import { templates } from '#templates';
import { StackshimError } from '../core/errors.ts';
import type { BundleTemplate } from './bundle-template.ts';

/** The template of that name. Throws ERR_STACKSHIM_SPEC_INVALID that lists those there are. */
export function loadTemplate(name: string): BundleTemplate {
  const template = Object.hasOwn(templates, name) ? templates[name] : undefined;
  if (template !== undefined) return template;
  const known = Object.keys(templates);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `bundle ${JSON.stringify(name)}: no such template; there are ${known.join(', ')}`,
    { details: { field: 'bundle', value: name, known } },
  );
}

/** What choosing the template of that name gives up, for people; undefined: nothing, or there is no such template. */
export const warnOfTemplate = (name: string): string | undefined =>
  Object.hasOwn(templates, name) ? templates[name]?.warning : undefined;
