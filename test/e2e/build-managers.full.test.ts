/** Package managers and compilers in build steps, of `run --build` and of code packages: offline from a vendored folder, and from a mirror on the host. Requires: network for Debian packages, npm. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../support/cli/run-cli.ts';
import { useLeakCheck } from '../support/host/leak-check.ts';
import { disposeInstallation } from '../support/installation/dispose-installation.ts';
import {
  envOf,
  layoutBelow,
  makeInstallationFolder,
  prepareLayout,
} from '../support/installation/test-layout.ts';
import { BUILT } from '../support/stacks/build-lab.ts';
import { type ManagedProgram, managedPrograms } from './support/managed-programs.ts';

const BUILD_MS = 600_000;
/** Code packages, which the tests add. */
const ADDED = /^(?:file|mount) \S+\/(?:lib|run)\/(?:packages|images|layers)(?:\/|$)/;

const folder = makeInstallationFolder('managers');
const layout = layoutBelow(folder);
const env = envOf(layout);
const served = new Map(managedPrograms.flatMap(({ mirror = {} }) => Object.entries(mirror)));
const server = createServer((request, response) => {
  const body = served.get(request.url ?? '');
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'text/html' });
  response.end(body);
});
let origin = '';

async function build(path: string): Promise<void> {
  const { status, stderr } = await runCli(['stack', 'build', path], { env });
  expect(status, stderr).toBe(0);
}

const overlay = (path: string) => fileURLToPath(new URL(`../../overlay/${path}`, import.meta.url));

beforeAll(async () => {
  prepareLayout(layout);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await build(overlay('base/debian-13'));
}, BUILD_MS);

afterAll(() => {
  server.close();
  disposeInstallation(layout);
  rmSync(folder, { recursive: true });
});

useLeakCheck({ roots: () => [layout.root, layout.run], allow: [BUILT, ADDED] });

const made = new Map<string, string>();

/** The name of the program's stack, which is built for the first program that needs it. */
async function makeStack({ stack: { overlay: path, packages } }: ManagedProgram): Promise<string> {
  const key = `${path} ${packages}`;
  const known = made.get(key);
  if (known !== undefined) return known;
  if (path !== undefined) await build(overlay(path));
  const base = path?.replace(/^.*\//, '') ?? 'debian-13';
  const name = packages === undefined ? base : await addPackages(base, packages);
  made.set(key, name);
  return name;
}

async function addPackages(base: string, packages: string): Promise<string> {
  const name = `managed-${made.size}`;
  const place = join(folder, name);
  mkdirSync(place);
  if (packages === 'nodejs') fetchNpm(place);
  const lines = [
    `FROM localhost/${base}`,
    `RUN stackshim-install ${packages}`,
    ...(packages === 'nodejs' ? ['COPY package /opt/npm/'] : []),
    'LABEL io.stackshim.smoke=\'["/bin/true"]\'',
  ];
  writeFileSync(join(place, 'Dockerfile'), `${lines.join('\n')}\n`);
  await build(place);
  return name;
}

/** Debian's npm brings hundreds of packages; npm's own package contains what it needs. */
function fetchNpm(place: string): void {
  execFileSync('npm', ['pack', 'npm@10.9.2', '--silent'], { cwd: place });
  execFileSync('tar', ['-xzf', 'npm-10.9.2.tgz', '--no-same-owner'], { cwd: place });
  rmSync(join(place, 'npm-10.9.2.tgz'));
}

function writeProgram(program: ManagedProgram): string {
  const code = join(folder, program.name.replaceAll(/\W+/g, '-'));
  for (const [path, content] of Object.entries(program.files(origin))) {
    mkdirSync(dirname(join(code, path)), { recursive: true });
    writeFileSync(join(code, path), content);
  }
  chmodSync(code, 0o755);
  return code;
}

it.each(managedPrograms)('$name', { timeout: BUILD_MS }, async (program) => {
  const stack = await makeStack(program);
  const code = writeProgram(program);
  const network = program.mirror === undefined ? [] : ['--build-network', 'host'];
  const options = ['--code', code, '--build', program.build(origin), ...network];
  const run = () => runCli(['run', '--json', ...options, stack, 'sh', '-c', program.run], { env });
  for (const cached of [false, true]) {
    const { stdout, stderr } = await run();
    const result = JSON.parse(stdout);
    expect(result, `${stderr}\n${result.build?.logTail}\n${result.output?.stderr}`).toMatchObject({
      verdict: 'succeeded',
      output: { stdout: '42\n' },
      build: { cached, verdict: 'succeeded' },
    });
  }
});

it.each(managedPrograms)('a code package with $name', { timeout: BUILD_MS }, async (program) => {
  const stack = await makeStack(program);
  const code = writeProgram(program);
  const name = code.slice(folder.length + 1).toLowerCase();
  const network = program.mirror === undefined ? [] : ['--build-network', 'host'];
  const from = (program.from ?? []).flatMap((file) => ['--build-from', file]);
  const options = ['--stack', stack, '--build', program.build(origin), ...from, ...network];
  const add = async () => {
    const args = ['code', 'add', name, code, '--json', ...options, '--', 'sh', '-c', program.run];
    const { status, stdout, stderr } = await runCli(args, { env });
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout);
  };
  const first = await add();
  expect(first).toMatchObject({ revision: 1, isNew: true });
  expect(await add()).toMatchObject({ revision: 1, isNew: false });
  writeFileSync(join(code, 'changed'), 'code that the dependencies do not depend on\n');
  const changed = await add();
  expect(changed).toMatchObject({ revision: 2, build: { cached: program.from !== undefined } });
  for (const revision of [1, 2]) {
    const args = ['run', '--json', '--code', `${name}@rev:${revision}`];
    const { stdout, stderr } = await runCli(args, { env });
    expect(JSON.parse(stdout), stderr).toMatchObject({
      verdict: 'succeeded',
      output: { stdout: '42\n' },
    });
  }
});
