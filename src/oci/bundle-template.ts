/** A bundle template: an OCI configuration of everything that does not depend on the task, and its seccomp profile. */
import type { SeccompProfile } from '../spec/seccomp-profile.ts';
import type {
  OciCapabilities,
  OciDeviceRule,
  OciMount,
  OciNamespace,
  OciRlimit,
} from './oci-config.ts';

/** The shape of `bundles/<name>.json`; bundles/README.md explains each part. */
export interface TemplateConfig {
  readonly ociVersion: string;
  readonly process: {
    readonly cwd: string;
    readonly noNewPrivileges: boolean;
    readonly capabilities: OciCapabilities;
    readonly rlimits: readonly OciRlimit[];
  };
  readonly mounts: readonly OciMount[];
  readonly linux: {
    readonly namespaces: readonly OciNamespace[];
    readonly resources: { readonly devices: readonly OciDeviceRule[] };
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
  };
}

export interface BundleTemplate {
  readonly config: TemplateConfig;
  readonly seccomp: SeccompProfile;
}

export type BundleTemplates = Readonly<Record<string, BundleTemplate>>;
