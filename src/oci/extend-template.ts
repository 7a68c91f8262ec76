/** Merges a bundle template with an extension of it. Pure. */
import type { BundleTemplate, TemplateConfig, TemplateExtension } from './bundle-template.ts';

type PlainTemplate = Pick<BundleTemplate, 'config' | 'seccomp'>;

/** A template that stands alone, as `bundles/default.json` does. */
export const toTemplate = ({ config, seccomp }: PlainTemplate): BundleTemplate => ({
  config,
  seccomp,
  devices: [],
  silentCapabilities: [],
  warning: undefined,
});

/**
 * `base` with the extension's capabilities, devices and system calls. The profile's rules for these capabilities stay
 * disabled: the extension names the calls that it needs.
 */
export function extendTemplate(base: BundleTemplate, extension: TemplateExtension): BundleTemplate {
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
