/**
 * What a host probe of the battery is: one attack on what root does outside of a container (on the files that it reads and writes,
 * the images and folders that it is handed, the environment that it is called in), judged by what is on the host afterwards.
 */
import type { TestInstallation } from '../../support/installation/installation.ts';
import type { ProbeVerdict } from './probe.ts';

export type HostProbeGroup =
  | 'files that root writes'
  | 'files that root reads'
  | 'fields of a task'
  | 'images and layers'
  | 'folders that are built'
  | 'what root starts'
  | 'other users of the host'
  | 'what a task writes';

export interface HostProbeScene {
  /** A fresh folder of mode 0755, removed afterwards. Other local users can pass through it. */
  readonly folder: string;
  /** A random text that must not get out, or must not be changed. */
  readonly secret: string;
  /** With the stack `busybox`. */
  readonly installation: TestInstallation;
  /** Undone last first when the probe is over. */
  defer(undo: () => void | Promise<void>): void;
}

type Attack = (scene: HostProbeScene) => Promise<ProbeVerdict>;

export interface HostProbe {
  readonly name: string;
  readonly group: HostProbeGroup;
  /** For the document, as are the two that follow. */
  readonly tries: string;
  readonly stoppedBy: string;
  /** The program without the protection that the attack is shown to work on. */
  readonly shownOn: string;
  /** The attack on the built executable or the library. */
  readonly attack: Attack;
  /** The same attack, judged in the same way, on {@link shownOn}. */
  readonly proof: Attack;
  /** Where it takes longer than tests usually do. */
  readonly timeoutMs?: number;
}
