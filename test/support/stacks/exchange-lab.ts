/** An installation with the busybox stack, a folder for archives, and the functions of the exchange bound to both. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { afterAll } from 'vitest';
import { isStackName, type StackName } from '../../../src/core/ids.ts';
import { runTask } from '../../../src/door/open-stackshim.ts';
import { type ExportedStack, exportStack } from '../../../src/exchange/export-stack.ts';
import { type ImportStackOptions, importStack } from '../../../src/exchange/import-stack.ts';
import type { PublishedStack, PublishOptions } from '../../../src/exchange/publish-image.ts';
import type { SmokeRunner } from '../../../src/exchange/smoke.ts';
import { readCurrentTarget } from '../../../src/store/stacks/generations.ts';
import { resolveStack } from '../../../src/store/stacks/resolve-stack.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import type { TaskResult } from '../../../src/task/result.ts';
import { type TestInstallation, useInstallation } from '../installation/installation.ts';
import { scaled } from '../timing/time-scale.ts';

/** Stored images, layers, revisions, generations and code packages, which the tests make on purpose. */
export const STORED = /^file \S+\/lib\/(images|layers|stacks|generations|packages)\//;

export interface ExchangeLab {
  readonly installation: TestInstallation;
  /** A folder for archives; removed at the end. */
  readonly folder: string;
  /** Smoke commands are real tasks of the installation. */
  readonly options: PublishOptions;
  import(
    name: string,
    reference: string,
    more?: Partial<ImportStackOptions>,
  ): Promise<PublishedStack>;
  /** Exports into {@link folder}. */
  export(stack: string, fileName: string): Promise<ExportedStack>;
  /** Runs a command in a stack and captures its output. */
  run(stack: string, command: readonly string[]): Promise<TaskResult>;
  /** Layers of the current revision. */
  layersOf(name: string): readonly string[];
  /** What a refusal must not change: the current generation, the revisions, images and layers, and the files below `tmp/`. */
  state(): unknown;
}

/** Registers the hooks of a file; every test in it is checked for leaks. */
export function useExchangeLab(): ExchangeLab {
  const folder = mkdtempSync('/var/tmp/stackshim-exchange-');
  const installation = useInstallation([STORED]);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const { layout } = installation;
  const runSmoke: SmokeRunner = ({ stack, revision }, command, { timeoutMs }) =>
    runTask(
      { stack: `${stack}@rev:${revision}`, command, timeout: timeoutMs },
      installation.options,
    );
  const options: PublishOptions = { system: linuxSystem, runSmoke };
  const list = (path: string) => {
    try {
      return readdirSync(path).sort();
    } catch {
      return [];
    }
  };
  return {
    installation,
    folder,
    options,
    import: (name, reference, more = {}) =>
      importStack(layout, { ...options, stack: toStack(name), reference, ...more }),
    export: (stack, fileName) =>
      exportStack(layout, { system: linuxSystem, stack, file: `${folder}/${fileName}` }),
    run: (stack, command) =>
      runTask({ stack, command: [...command], timeout: scaled(30_000) }, installation.options),
    layersOf: (name) => resolveStack(layout, { name: toStack(name) }).image.layers,
    state: () => ({
      current: readCurrentTarget(layout),
      stacks: list(`${layout.root}/stacks`).map((name) => list(`${layout.root}/stacks/${name}`)),
      images: list(`${layout.root}/images`),
      layers: list(`${layout.root}/layers`),
      tmp: list(`${layout.root}/tmp`),
      leases: list(`${layout.root}/locks/leases`),
    }),
  };
}

/** Parses a stack name of a test. */
export function toStack(name: string): StackName {
  if (isStackName(name)) return name;
  throw new Error(`${name} is not a stack name`);
}
