/** Proves through Biome that the lint rules on imports work: every folder against every other folder and every package. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const projectRoot = join(import.meta.dirname, '../..');

/** The rooms that each room may import, as ARCHITECTURE.md draws them; biome.json must say the same. */
const belowArchive = ['core', 'sys', 'spec'];
const belowRootfs = [...belowArchive, 'archive', 'store', 'packages'];
const belowTask = [...belowRootfs, 'rootfs', 'cgroup', 'oci', 'runtime'];
const uptoTask = [...belowTask, 'task'];
const belowDoor = [...uptoTask, 'doctor', 'exchange', 'build', 'upkeep'];
const roomsBelow: Readonly<Record<string, readonly string[]>> = {
  core: [],
  sys: ['core'],
  spec: ['core'],
  archive: belowArchive,
  store: [...belowArchive, 'archive'],
  packages: [...belowArchive, 'archive'],
  rootfs: belowRootfs,
  cgroup: belowRootfs,
  oci: belowRootfs,
  runtime: belowRootfs,
  task: belowTask,
  doctor: uptoTask,
  exchange: uptoTask,
  build: [...uptoTask, 'exchange'],
  upkeep: [...uptoTask, 'exchange', 'build'],
  door: belowDoor,
  worker: [...uptoTask, 'door'],
  cli: [...belowDoor, 'door', 'worker'],
};
const rooms = Object.keys(roomsBelow);

const ownersOfPackages: Readonly<Record<string, readonly string[]>> = {
  zod: ['spec', 'exchange', 'build'],
  'zod/mini': ['spec', 'exchange', 'build'],
  koffi: ['sys'],
  'bun:ffi': ['sys'],
  '#ffi': ['sys'],
  tar: [],
  yauzl: ['packages'],
  commander: ['cli'],
  'log-update': ['cli'],
  picocolors: ['cli'],
  'string-width': ['cli'],
  execa: ['sys'],
  'node:child_process': ['sys'],
  bullmq: ['worker'],
  ioredis: ['worker'],
  pg: ['worker'],
  pino: ['worker'],
  'fs-extra': ['build'],
  'some-new-package': [],
  '@scope/some-new-package': [],
  fs: [],
  'node:fs': rooms.filter((room) => room !== 'core'),
  'node:fs/promises': rooms.filter((room) => room !== 'core'),
};

interface Probe {
  readonly file: string;
  readonly text: string;
  readonly isAllowed: boolean;
}

const roomProbes: readonly Probe[] = rooms.flatMap((from) =>
  rooms
    .filter((to) => to !== from)
    .flatMap((to) => {
      const isAllowed = roomsBelow[from]?.includes(to) ?? false;
      return [
        { file: `src/${from}/flat-${to}.ts`, text: `import '../${to}/a.ts';\n`, isAllowed },
        {
          file: `src/${from}/x/y/deep-${to}.ts`,
          text: `export * from '../../../${to}/x/a.ts';\n`,
          isAllowed,
        },
        {
          file: `src/${from}/type-${to}.ts`,
          text: `export type { A } from '../${to}/a.ts';\n`,
          isAllowed,
        },
        {
          file: `src/${from}/late-${to}.ts`,
          text: `export const a = import('../${to}/a.ts');\n`,
          isAllowed,
        },
      ];
    }),
);

const packageProbes: readonly Probe[] = Object.entries(ownersOfPackages).flatMap(([name, owners]) =>
  rooms.map((room) => ({
    file: `src/${room}/package-${name.replaceAll(/[^a-z]/g, '-')}.ts`,
    text: `import '${name}';\n`,
    isAllowed: owners.includes(room),
  })),
);

const entryProbes: readonly Probe[] = [
  ...rooms.map((room) => ({
    file: `src/${room}/entry.ts`,
    text: "import '../index.ts';\n",
    isAllowed: false,
  })),
  { file: 'src/index.ts', text: "export * from './task/a.ts';\n", isAllowed: true },
  { file: 'src/index-of-cli.ts', text: "import './cli/a.ts';\n", isAllowed: false },
  { file: 'src/index-of-zod.ts', text: "import 'zod';\n", isAllowed: false },
  {
    file: 'scripts/own.mjs',
    text: "import './steps/a.mjs';\nimport 'node:fs';\n",
    isAllowed: true,
  },
  { file: 'scripts/foreign.mjs', text: "import 'execa';\n", isAllowed: false },
];

const printProbes: readonly Probe[] = rooms.map((room) => ({
  file: `src/${room}/prints.ts`,
  text: "console.error('a');\n",
  isAllowed: room === 'cli',
}));

const exitProbes: readonly Probe[] = rooms.map((room) => ({
  file: `src/${room}/exits.ts`,
  text: 'process.exit(1);\n',
  isAllowed: room === 'cli',
}));

interface BiomeReport {
  readonly diagnostics: readonly {
    readonly severity: string;
    readonly location: { readonly path: string };
  }[];
}

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stackshim-imports-'));
  const config = JSON.parse(readFileSync(join(projectRoot, 'biome.json'), 'utf8'));
  // The probes lie outside of a repository and have no package.json: only this part of the configuration is left out.
  writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** The files in which Biome reports `rule` as an error. */
function findReported(probes: readonly Probe[], rule: string): readonly string[] {
  for (const probe of probes) {
    const file = join(folder, probe.file);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, probe.text);
  }
  const biome = join(projectRoot, 'node_modules/@biomejs/biome/bin/biome');
  const args = ['lint', '--reporter=json', '--max-diagnostics=none', `--only=${rule}`, '.'];
  const { stdout } = spawnSync(process.execPath, [biome, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  const report: BiomeReport = JSON.parse(stdout);
  const errors = report.diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  return [...new Set(errors.map((diagnostic) => diagnostic.location.path))].sort();
}

const findForbidden = (probes: readonly Probe[]) =>
  probes
    .filter((probe) => !probe.isAllowed)
    .map((probe) => probe.file)
    .sort();

describe('the lint rules on imports', () => {
  it.each([
    ['room against room', roomProbes, 'style/noRestrictedImports'],
    ['room against package', packageProbes, 'style/noRestrictedImports'],
    ['the library entry and the scripts', entryProbes, 'style/noRestrictedImports'],
    ['printing', printProbes, 'suspicious/noConsole'],
    ['exiting', exitProbes, 'nursery/noProcessExit'],
  ])('report exactly the forbidden imports: %s', (_title, probes, rule) => {
    expect(findReported(probes, rule)).toEqual(findForbidden(probes));
  });
});

describe('beyond the lint rules', () => {
  const sources = readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name, text: readFileSync(join(projectRoot, 'src', name), 'utf8') }));

  it('every folder of src has rules', () => {
    const found = new Set(sources.map(({ name }) => name.split('/')[0] ?? ''));
    const known = [...rooms, 'index.ts'];
    expect([...found].filter((room) => !known.includes(room))).toEqual([]);
  });

  it('no folder within a room has the name of a room, because the rules match folder names', () => {
    // The rules only refuse too much there: files beside src/store/packages may not import it.
    const others = sources.filter(({ name }) => !name.startsWith('store/packages/'));
    const within = others.flatMap(({ name }) => name.split('/').slice(1, -1));
    expect([...new Set(within)].filter((folder) => rooms.includes(folder))).toEqual([]);
  });

  it('only the runtime folder asks for the kind of runtime: callers use its driver', () => {
    const asks =
      /(["'])(?:runc|crun|runsc|gvisor)\1|\bruntime\??\.kind\s*[!=]==|\/drivers\/(?!driver-of\.ts)/;
    // The policy's list of names is data.
    const others = sources.filter(
      ({ name }) => !name.startsWith('runtime/') && name !== 'spec/policy.ts',
    );
    expect(others.filter(({ text }) => asks.test(text)).map(({ name }) => name)).toEqual([]);
  });

  it('no type uses import(), and no import() has a computed path', () => {
    const isHidden = (text: string) =>
      /\bimport\((?!\s*['"])/.test(text) ||
      /[:<|&=]\s*(typeof )?import\(['"][^)]*\)\.[A-Z]/.test(text);
    expect(sources.filter(({ text }) => isHidden(text)).map(({ name }) => name)).toEqual([]);
  });
});
