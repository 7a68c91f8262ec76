/** Bundle templates by name. */
import { templateFiles } from '#templates';
import { StackshimError } from '../core/errors.ts';
import type { BundleTemplate, TemplateConfig, TemplateExtension } from './bundle-template.ts';

const MAX_SHOWN_CHARS = 200;

const { config, seccomp, extensions } = templateFiles;
const plain: BundleTemplate = {
  config,
  seccomp,
  devices: [],
  silentCapabilities: [],
  warning: undefined,
};

/** Undefined if there is no template with this name. */
function findTemplate(name: string): BundleTemplate | undefined {
  if (name === 'default') return plain;
  const extension = Object.hasOwn(extensions, name) ? extensions[name] : undefined;
  return extension === undefined ? undefined : extendTemplate(plain, extension);
}

export const templateNames = (): readonly string[] => ['default', ...Object.keys(extensions)];

/** The template with that name. Throws ERR_STACKSHIM_SPEC_INVALID that lists the known names. */
export function loadTemplate(name: string): BundleTemplate {
  const template = findTemplate(name);
  if (template !== undefined) return template;
  const known = templateNames();
  // The name may come from an image's label, which has no length limit.
  const shown = name.slice(0, MAX_SHOWN_CHARS);
  throw new StackshimError(
    'ERR_STACKSHIM_SPEC_INVALID',
    `bundle ${JSON.stringify(shown)}: no such template; the templates are ${known.join(', ')}`,
    { details: { field: 'bundle', value: shown, known } },
  );
}

/** What a user of that template gives up, in plain text; undefined: nothing, or no such template. */
export const warnOfTemplate = (name: string): string | undefined => findTemplate(name)?.warning;

/**
 * `base` with the extension's capabilities, devices and system calls. The profile's rules for these capabilities stay
 * disabled: the extension names the calls that it needs.
 */
function extendTemplate(base: BundleTemplate, extension: TemplateExtension): BundleTemplate {
  const { capabilities, devices, syscalls } = extension;
  const allow = { names: syscalls, action: 'SCMP_ACT_ALLOW' };
  return {
    config: extendConfig(base.config, extension),
    seccomp: { ...base.seccomp, syscalls: [...base.seccomp.syscalls, allow] },
    devices: [...base.devices, ...devices],
    silentCapabilities: [...base.silentCapabilities, ...capabilities],
    warning: capabilities.includes('CAP_SYS_ADMIN')
      ? 'its tasks may mount and unmount: masked and read-only paths do not hold in them'
      : base.warning,
  };
}

function extendConfig(base: TemplateConfig, extension: TemplateExtension): TemplateConfig {
  const { process } = base;
  const held = (names: readonly string[]) => [...names, ...extension.capabilities];
  const { bounding, permitted, effective } = process.capabilities;
  return {
    ...base,
    process: {
      ...process,
      capabilities: {
        bounding: held(bounding),
        permitted: held(permitted),
        effective: held(effective),
      },
    },
  };
}
