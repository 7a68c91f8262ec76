/** The bundle templates inside the executable: the bundler inlines them. */
import config from '#bundles/default.json' with { type: 'json' };
import seccomp from '#bundles/seccomp.json' with { type: 'json' };
import type { BundleTemplates } from '../bundle-template.ts';

export const templates: BundleTemplates = { default: { config, seccomp } };
