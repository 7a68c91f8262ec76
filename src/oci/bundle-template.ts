/** A bundle template: the part of an OCI configuration that does not depend on the task, and its seccomp profile. */
import type { TaskDevice } from '../core/mount.ts';
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type { OciContainerConfig, OciLinux, OciProcess, OciResources } from './oci-config.ts';

/** The shape of `bundles/<name>.json`; bundles/README.md explains each part. */
export interface TemplateConfig extends Pick<OciContainerConfig, 'ociVersion' | 'mounts'> {
  readonly process: Pick<OciProcess, 'cwd' | 'noNewPrivileges' | 'capabilities' | 'rlimits'>;
  readonly linux: Pick<OciLinux, 'namespaces' | 'maskedPaths' | 'readonlyPaths'> & {
    readonly resources: Pick<OciResources, 'devices'>;
  };
}

/** The shape of a template that only extends another: `bundles/fuse.json`. */
export interface TemplateExtension {
  readonly extends: string;
  readonly capabilities: readonly string[];
  readonly devices: readonly TaskDevice[];
  /** System calls to allow in addition, with any arguments. */
  readonly syscalls: readonly string[];
}

export interface BundleTemplate {
  readonly config: TemplateConfig;
  readonly seccomp: SeccompProfile;
  readonly devices: readonly TaskDevice[];
  /** Capabilities of `config` that enable no rule of the profile. A task gets those rules only by asking for the capability itself. */
  readonly silentCapabilities: readonly string[];
  /** What a user of this template gives up, in plain text; undefined: nothing. */
  readonly warning: string | undefined;
}

/** The content of the directory `bundles/`. */
export interface TemplateFiles {
  /** The configuration of the template `default`. */
  readonly config: TemplateConfig;
  readonly seccomp: SeccompProfile;
  /** The templates that extend `default`, by name. */
  readonly extensions: Readonly<Record<string, TemplateExtension>>;
}
