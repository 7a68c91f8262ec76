/** The bundle templates inside the executable: the bundler inlines them. */
import config from '#bundles/default.json' with { type: 'json' };
import fuse from '#bundles/fuse.json' with { type: 'json' };
import seccomp from '#bundles/seccomp.json' with { type: 'json' };
import type { BundleTemplates, TemplateExtension } from '../bundle-template.ts';
import { extendTemplate, toTemplate } from '../extend-template.ts';

const plain = toTemplate({ config, seccomp });

export const templates: BundleTemplates = {
  default: plain,
  // TypeScript widens the strings of a JSON file.
  fuse: extendTemplate(plain, fuse as TemplateExtension),
};
