/** The files of the bundle templates in the executable; the bundler inlines them. */
import config from '#bundles/default.json' with { type: 'json' };
import fuse from '#bundles/fuse.json' with { type: 'json' };
import seccomp from '#bundles/seccomp.json' with { type: 'json' };
import type { TemplateExtension, TemplateFiles } from '../bundle-template.ts';

export const templateFiles: TemplateFiles = {
  config,
  seccomp,
  // TypeScript widens the strings of a JSON file.
  extensions: { fuse: fuse as TemplateExtension },
};
