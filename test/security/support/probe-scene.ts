/** The host's side of a probe: its target, other users and containers, and their removal. */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProbeImage } from '../../support/programs/probe-image.ts';
import { hasLookedTwice, startStranger } from '../../support/programs/stranger.ts';
import { type WatchedProgram, watchProgram } from '../../support/programs/watched-program.ts';
import type { OpenContainer, PlaceName, ProbeTask, Stranger } from './probe.ts';
import type { PlacedContainer, ProbeBind, ProbePlace } from './probe-place.ts';
import { removeHard } from './remove-hard.ts';

export interface NeighbourSetting {
  readonly task?: ProbeTask;
  readonly env?: Readonly<Record<string, string>>;
  readonly payload?: string;
  readonly code?: string;
  /** The scene's by default. */
  readonly binds?: readonly ProbeBind[];
}

export class ProbeScene {
  /** A folder of the host, readable for everybody; its file `secret` contains the secret. No container gets it unless a probe says so. */
  readonly folder = mkdtempSync('/var/tmp/stackshim-scene-');
  /** A text that must not be visible inside. */
  readonly secret = `secret-${randomBytes(8).toString('hex')}`;
  /** The program's environment. */
  readonly env: Record<string, string>;
  readonly callerEnv: Record<string, string> = {};
  readonly binds: ProbeBind[] = [];
  /** What the program gets in addition to the probe's settings. */
  readonly given: { payload?: string; code?: string; device?: string } = {};
  readonly image: ProbeImage;
  readonly placeName: PlaceName;
  readonly #place: ProbePlace;
  readonly #open: OpenContainer;
  #stranger: WatchedProgram | undefined;
  readonly #undo: (() => void | Promise<void>)[] = [];

  constructor(place: ProbePlace, image: ProbeImage, open: OpenContainer) {
    this.#place = place;
    this.placeName = place.name;
    this.#open = open;
    this.image = image;
    chmodSync(this.folder, 0o755);
    this.write('secret', `${this.secret}\n`);
    this.env = { FOLDER: this.folder, SECRET: this.path('secret') };
  }

  /** The folder above everything of the place's containers. */
  get placeFolders(): readonly string[] {
    return this.#place.folders;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string, mode = 0o644): string {
    writeFileSync(this.path(name), text);
    chmodSync(this.path(name), mode);
    return this.path(name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Text of a probe with the folder's path in it. */
  expand(text: string): string {
    return text.replaceAll('$FOLDER', this.folder);
  }

  /** A folder of the scene that every container gets, writable inside. */
  bind(name: string, target: string, more: { readonly readOnly?: boolean } = {}): string {
    mkdirSync(this.path(name));
    chmodSync(this.path(name), 0o777);
    this.binds.push({ source: this.path(name), target, ...more });
    return this.path(name);
  }

  /** A policy until the probe is over; without effect where there is none. */
  setPolicy(policy: object): void {
    this.#place.setPolicy?.(policy);
    this.defer(() => this.#place.setPolicy?.(null));
  }

  /** Undone in reverse order when the probe is over. */
  defer(undo: () => void | Promise<void>): void {
    this.#undo.push(undo);
  }

  /** Runs a command of the probe program on the host. */
  call(...args: readonly string[]): string {
    return execFileSync(this.image.program, args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  }

  /** Removes a key of root, if a probe of an open container has left one. */
  forgetKey(name: string): void {
    spawnSync(this.image.program, ['key-remove', name], { stdio: 'ignore' });
  }

  /** Runs a program on the host for the duration of the probe. */
  async host(
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<WatchedProgram> {
    const program = watchProgram(argv, { env });
    this.defer(async () => {
      program.signal('SIGKILL');
      await program.ended;
    });
    await program.tried;
    return program;
  }

  /** Starts another user of the host until the probe is over. */
  async watchAsStranger({ mode, what, where }: Stranger): Promise<void> {
    const folders = [...this.#place.folders, ...(where?.(this) ?? [])];
    this.#stranger = startStranger(this.image.program, { mode, what: what(this), folders });
    const stranger = this.#stranger;
    this.defer(async () => {
      stranger.signal('SIGKILL');
      await stranger.ended;
    });
    await stranger.tried;
  }

  /** Resolves once that user, if there is one, has looked at everything in its present state. */
  async strangerHasLooked(): Promise<void> {
    if (this.#stranger !== undefined) await hasLookedTwice(this.#stranger);
  }

  /** What that user has found out. */
  strangerKnows(): string {
    return this.#stranger?.stdout() ?? '';
  }

  /** Starts another container of the same place, which runs until the probe is over. */
  async neighbour(script: string, setting: NeighbourSetting = {}): Promise<PlacedContainer> {
    const container = this.#start(script, setting);
    this.defer(() => container.stop());
    await container.program.tried;
    if (container.program.hasEnded()) throw new Error(`neighbour: ${container.program.stderr()}`);
    return container;
  }

  /** What another container printed, which was refused or has been removed. */
  async visit(script: string, setting: NeighbourSetting = {}): Promise<string> {
    const container = this.#start(script, setting);
    await container.program.tried;
    await container.stop();
    return container.program.stdout();
  }

  #start(script: string, setting: NeighbourSetting): PlacedContainer {
    return this.#place.start({
      command: ['sh', '-c', `${script}\nexec probe wait`],
      task: setting.task ?? {},
      env: setting.env ?? {},
      binds: setting.binds ?? this.binds,
      callerEnv: {},
      open: this.#open,
      sceneFolder: this.folder,
      ...(setting.payload === undefined ? {} : { payload: setting.payload }),
      ...(setting.code === undefined ? {} : { code: setting.code }),
    });
  }

  async dispose(): Promise<void> {
    for (const undo of this.#undo.toReversed()) await undo();
    removeHard(this.folder);
  }
}
