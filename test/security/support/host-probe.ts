/**
 * A host probe of the battery: one attack on what root does outside of a container (on files that it reads and writes, images and
 * folders that it gets, the environment that it is called in), judged by the state of the host afterwards.
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
  | 'what a task writes'
  | 'commands in a task'
  | 'files out of a task';

export interface HostProbeScene {
  /** A new folder of mode 0755, removed afterwards. Other local users can pass through it. */
  readonly folder: string;
  /** A random text that must not be revealed or changed. */
  readonly secret: string;
  /** An installation with the stack `busybox`. */
  readonly installation: TestInstallation;
  /** Undone in reverse order when the probe is over. */
  defer(undo: () => void | Promise<void>): void;
}

type Attack = (scene: HostProbeScene) => Promise<ProbeVerdict>;

export interface HostProbe {
  readonly name: string;
  readonly group: HostProbeGroup;
  /** For the document, like the next two fields. */
  readonly tries: string;
  readonly stoppedBy: string;
  /** The program without the protection on which the attack is demonstrated. */
  readonly shownOn: string;
  /** The attack on the built executable or the library. */
  readonly attack: Attack;
  /** The same attack, judged in the same way, on {@link shownOn}. */
  readonly proof: Attack;
  /** If it takes longer than other tests. */
  readonly timeoutMs?: number;
}
