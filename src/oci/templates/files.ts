/** Reads the files of the bundle templates from the package, once per process. */
import { createRequire } from 'node:module';
import type { SeccompProfile } from '../../spec/seccomp-profile.ts';
import type { TemplateConfig, TemplateExtension, TemplateFiles } from '../bundle-template.ts';

// Node 20 warns about `import … with { type: 'json' }`; `require` does not.
const require = createRequire(import.meta.url);

export const templateFiles: TemplateFiles = {
  config: require('#bundles/default.json') as TemplateConfig,
  seccomp: require('#bundles/seccomp.json') as SeccompProfile,
  extensions: { fuse: require('#bundles/fuse.json') as TemplateExtension },
};
