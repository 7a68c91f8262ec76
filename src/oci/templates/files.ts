/** The bundle templates, read from the package's files once per process. */
import { createRequire } from 'node:module';
import type { SeccompProfile } from '../../spec/seccomp-profile.ts';
import type { BundleTemplates, TemplateConfig, TemplateExtension } from '../bundle-template.ts';
import { extendTemplate, toTemplate } from '../extend-template.ts';

// Node 20 warns about `import … with { type: 'json' }`; require does not.
const require = createRequire(import.meta.url);

const plain = toTemplate({
  config: require('#bundles/default.json') as TemplateConfig,
  seccomp: require('#bundles/seccomp.json') as SeccompProfile,
});

export const templates: BundleTemplates = {
  default: plain,
  fuse: extendTemplate(plain, require('#bundles/fuse.json') as TemplateExtension),
};
