/** The bundle templates as the package's files, read once by the process. */
import { createRequire } from 'node:module';
import type { SeccompProfile } from '../../spec/seccomp-profile.ts';
import type { BundleTemplates, TemplateConfig } from '../bundle-template.ts';

// Node 20 warns about `import … with { type: 'json' }`; require does not.
const require = createRequire(import.meta.url);

export const templates: BundleTemplates = {
  default: {
    config: require('#bundles/default.json') as TemplateConfig,
    seccomp: require('#bundles/seccomp.json') as SeccompProfile,
  },
};
