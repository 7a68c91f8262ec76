/** Parsers of code packages: what their authors, callers and registries say. */
import { expect } from 'vitest';
import { isImageDigest, isPackageName } from '../../../src/core/ids.ts';
import { layoutFrom } from '../../../src/core/layout.ts';
import { parsePinnedName } from '../../../src/exchange/registry/image-reference.ts';
import { joinSettings, parsePackageFile } from '../../../src/spec/package-input.ts';
import { parseSettingsLabel, toSettingsLabel } from '../../../src/spec/package-settings.ts';
import { PACKAGE_REFERENCE, parseCodeSource } from '../../../src/spec/parse-command.ts';
import {
  packageCurrentFile,
  packageRevisionFile,
  readCurrentPackage,
  readPackageRevision,
} from '../../../src/store/packages/package.ts';
import { readSettings } from '../../../src/store/packages/resolve-package.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';
import { storedSamples } from './stored-targets.ts';

const hex = 'a'.repeat(64);

const settings = {
  stack: 'python-3.13',
  command: ['python3', 'main.py'],
  args: 'iron',
  env: { A: '1' },
  config: '{}',
  outputs: ['out/report.pdf'],
  build: 'pip install',
  retries: 3,
  maxConcurrency: 10,
  priority: 5,
};
const file = { ...settings, buildFrom: ['requirements.txt', 'vendor'], memory: '256m', cpus: 0.5 };
const label = { version: 1, ...settings, buildFiles: ['vendor'], limits: { timeout: '60s' } };
const revision = {
  version: 1,
  name: 'mailer',
  tenant: 'acme',
  revision: 3,
  image: `sha256:${hex}`,
  createdAt: '2026-01-01T00:00:00.000Z',
  source: { kind: 'add', path: '/srv/app', content: hex, build: hex },
};

export function packageTargets(files: FuzzFiles): readonly FuzzTarget[] {
  const layout = layoutFrom({ root: `${files.folder}/root`, run: `${files.folder}/run` }, {});
  const digest = revision.image;
  if (!isPackageName(revision.name) || !isImageDigest(digest)) throw new Error('not a name');
  const of = { name: revision.name, tenant: null };
  const put = (path: string, bytes: Buffer) =>
    files.write(path.slice(files.folder.length + 1), bytes);
  return [
    {
      name: 'stackshim.json of code',
      form: 'document',
      samples: [file, { build: ['make'], buildFrom: ['./a/', 'a'], stack: 'a@rev:1' }],
      words: Object.keys(file),
      run: (bytes) => joinSettings({}, parsePackageFile(bytes)),
    },
    {
      name: 'settings in the label of an image',
      form: 'document',
      samples: [label, { version: 1 }],
      words: Object.keys(label),
      run(bytes) {
        const labels = { 'io.stackshim.code': bytes.toString() };
        const config = { ...storedSamples.image.config, labels };
        const read = readSettings({
          ...{ digest, layers: [], diffIds: [], architecture: 'amd64', config },
        });
        // What was read once is read the same again.
        expect(parseSettingsLabel(toSettingsLabel(read))).toEqual(read);
        return read;
      },
    },
    {
      name: 'code of a task',
      form: 'text',
      samples: ['mailer', 'mailer@rev:3', `mailer@sha256:${hex}`, './app', '/srv/app.zip', 'a.tgz'],
      words: ['@rev:', '@sha256:', '.tar.gz', '..', '/'],
      run(text) {
        const source = parseCodeSource(text, 'code');
        expect(source.kind === 'package').toBe(PACKAGE_REFERENCE.test(text));
        return source;
      },
    },
    {
      name: 'images to pull',
      form: 'text',
      samples: [`docker://registry.example:5000/team/app@sha256:${hex}`],
      words: ['docker://', '@sha256:', ':v1'],
      run: parsePinnedName,
    },
    {
      name: 'revisions of code packages',
      form: 'document',
      samples: [
        { ...revision, tenant: null },
        { ...revision, tenant: null, source: { kind: 'pull', reference: 'docker://a/b' } },
      ],
      words: [...Object.keys(revision), ...Object.keys(revision.source)],
      run(bytes) {
        put(packageRevisionFile(layout, of, 3), bytes);
        return readPackageRevision(layout, of, 3);
      },
    },
    {
      name: 'current revisions of code packages',
      form: 'document',
      samples: [{ version: 1, revision: 3, since: revision.createdAt }],
      words: ['version', 'revision', 'since'],
      run(bytes) {
        put(packageCurrentFile(layout, of), bytes);
        return readCurrentPackage(layout, of);
      },
    },
  ];
}
