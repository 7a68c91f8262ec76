/** The host probes of the battery. */
import type { HostProbe } from '../support/host-probe.ts';
import { accessListProbes } from './access-list-probes.ts';
import { buildStepProbes } from './build-step-probes.ts';
import { changingFileProbes } from './changing-file-probes.ts';
import { codePackageProbes } from './code-package-probes.ts';
import { endlessFileProbes } from './endless-file-probes.ts';
import { engineProbes } from './engine-probes.ts';
import { execProbes } from './exec-probes.ts';
import { folderProbes } from './folder-probes.ts';
import { localUserProbes } from './local-user-probes.ts';
import { namedLayerProbes } from './named-layer-probes.ts';
import { outputProbes } from './output-probes.ts';
import { progressProbes } from './progress-probes.ts';
import { readFileProbes } from './read-file-probes.ts';
import { rootfsProbes } from './rootfs-probes.ts';
import { scriptProbes } from './script-probes.ts';
import { startedProgramProbes } from './started-program-probes.ts';
import { stepProbes } from './step-probes.ts';
import { storedFileProbes } from './stored-file-probes.ts';
import { takenFileProbes } from './taken-file-probes.ts';
import { taskFieldProbes } from './task-field-probes.ts';
import { twofoldManifestProbes } from './twofold-manifest-probes.ts';
import { watchedWorkProbes } from './watched-work-probes.ts';
import { writtenFileProbes } from './written-file-probes.ts';

export const allHostProbes: readonly HostProbe[] = [
  ...taskFieldProbes,
  ...folderProbes,
  ...stepProbes,
  ...endlessFileProbes,
  ...startedProgramProbes,
  ...accessListProbes,
  ...namedLayerProbes,
  ...storedFileProbes,
  ...twofoldManifestProbes,
  ...rootfsProbes,
  ...localUserProbes,
  ...watchedWorkProbes,
  ...writtenFileProbes,
  ...changingFileProbes,
  ...readFileProbes,
  ...engineProbes,
  ...scriptProbes,
  ...outputProbes,
  ...progressProbes,
  ...execProbes,
  ...takenFileProbes,
  ...buildStepProbes,
  ...codePackageProbes,
];
