/** Finds bundle templates by name. */
import { templateFiles } from '#templates';
import { StackshimError } from '../core/errors.ts';
import type { BundleTemplate, TemplateExtension } from './bundle-template.ts';

const MAX_SHOWN_CHARS = 200;

const { config, seccomp, extensions } = templateFiles;
const plain: BundleTemplate = {
  config,
  seccomp,
  devices: [],
  silentCapabilities: [],
  warning: undefined,
};

/** Returns undefined if no template has this name. */
function findTemplate(name: string): BundleTemplate | undefined {
  if (name === 'default') return plain;
  const extension = Object.hasOwn(extensions, name) ? extensions[name] : undefined;
  return extension && extendPlain(extension);
}

export const templateNames = (): readonly string[] => ['default', ...Object.keys(extensions)];

/** Returns the template with this name. Throws ERR_STACKSHIM_SPEC_INVALID that lists the known names. */
export function loadTemplate(name: string): BundleTemplate {
  const template = findTemplate(name);
  if (template !== undefined) return template;
  const known = templateNames();
  // The name may come from an image's label, which has no length limit.
  const shown = name.slice(0, MAX_SHOWN_CHARS);
  const text = `bundle ${JSON.stringify(shown)}: no such template; the templates are ${known.join(', ')}`;
  const details = { field: 'bundle', value: shown, known };
  throw new StackshimError('ERR_STACKSHIM_SPEC_INVALID', text, { details });
}

/** What a user of the template gives up, in plain text; undefined: nothing, or no such template. */
export const warnOfTemplate = (name: string): string | undefined => findTemplate(name)?.warning;

/**
 * Adds the extension's capabilities, devices and system calls to the template `default`. The profile's rules for these capabilities stay
 * disabled: the extension lists the calls that it needs.
 */
function extendPlain({ capabilities, devices, syscalls }: TemplateExtension): BundleTemplate {
  const { process } = config;
  const held = (names: readonly string[]) => [...names, ...capabilities];
  const { bounding, permitted, effective } = process.capabilities;
  const rights = {
    bounding: held(bounding),
    permitted: held(permitted),
    effective: held(effective),
  };
  const allow = { names: syscalls, action: 'SCMP_ACT_ALLOW' };
  return {
    config: { ...config, process: { ...process, capabilities: rights } },
    seccomp: { ...seccomp, syscalls: [...seccomp.syscalls, allow] },
    devices,
    silentCapabilities: capabilities,
    warning: capabilities.includes('CAP_SYS_ADMIN')
      ? 'its tasks may mount and unmount: masked and read-only paths do not hold in them'
      : undefined,
  };
}
