/** Which files a build takes from its folder, and what its steps can do. Requires: root. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { expect, it } from 'vitest';
import { showStack } from '../../src/store/stacks/list-stacks.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { stackName } from '../support/stacks/stack-store.ts';

const lab = useBuildLab();
const SMOKE = `LABEL io.stackshim.smoke='["true"]'`;
const NOBODY = 65_534;

it('a build uses the files that it hashed, even if the folder changes meanwhile', async () => {
  await lab.build(lab.writeStack('below', [...BUSYBOX_IMAGE, SMOKE]));
  const lines = ['FROM localhost/below', 'COPY version /version', SMOKE];
  const directory = lab.writeStack('above', lines, { version: 'first' });
  let changed = 0;
  await lab.build(directory, {
    // The folder has been read, and nothing has been built.
    onProgress: (progress) => {
      if (progress.kind !== 'step' || progress.step !== 'base') return;
      writeFileSync(`${directory}/version`, 'second');
      changed += 1;
    },
  });
  expect(changed).toBe(1);
  expect((await lab.run('above', ['cat', '/version'])).output.stdout).toBe('first');
});

it.each([
  ['the Dockerfile', (folder: string) => chownSync(`${folder}/Dockerfile`, NOBODY, NOBODY)],
  ['the folder', (folder: string) => chmodSync(folder, 0o777)],
  ['a file', (folder: string) => chmodSync(`${folder}/busybox`, 0o775)],
  ['a folder in it', (folder: string) => mkdirOf(`${folder}/more`)],
])(
  'a build refuses a folder if other users may change %s, and says what to do',
  async (_, change) => {
    const directory = lab.writeStack('never', [...BUSYBOX_IMAGE, SMOKE]);
    change(directory);
    await expect(lab.build(directory)).rejects.toMatchObject({
      code: 'ERR_STACKSHIM_PATH_UNTRUSTED',
      details: { fault: expect.stringContaining(directory) },
      hint: expect.stringContaining('copy the folder to a place where only root can write'),
    });
    expect(lab.hasWork()).toBe(false);
  },
);

function mkdirOf(path: string): void {
  mkdirSync(path);
  chownSync(path, NOBODY, NOBODY);
}

it.each(['Dockerfile', 'base.json', '.dockerignore'])(
  'a build refuses a link in place of %s',
  async (name) => {
    const directory = lab.writeStack('never', [...BUSYBOX_IMAGE, SMOKE], {
      real: 'FROM scratch\n',
    });
    rmSync(`${directory}/${name}`, { force: true });
    symlinkSync('real', `${directory}/${name}`);
    await expect(lab.build(directory)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_STACKSHIM_(INPUT_NOT_FOUND|PATH_UNTRUSTED)$/),
    });
  },
);

it('a build keeps links and modes, and leaves out what .dockerignore lists', async () => {
  const lines = [...BUSYBOX_IMAGE, 'COPY . /context', SMOKE];
  const files = { kept: 'kept', ignored: 'ignored', '.dockerignore': 'ignored\n' };
  const directory = lab.writeStack('ignoring', lines, files);
  symlinkSync('kept', `${directory}/link`);
  chmodSync(`${directory}/kept`, 0o640);
  await lab.build(directory);
  const command = ['sh', '-c', 'cd /context; stat -c %a kept; readlink link; ls ignored'];
  const { output } = await lab.run('ignoring', command);
  expect(output.stdout).toBe('640\nkept\n');
});

it('build steps get six devices, a few capabilities in a user namespace, and their own cgroup', async () => {
  const lines = [
    ...BUSYBOX_IMAGE,
    'RUN find /dev -maxdepth 1 -type c -o -type b | sort > /devices',
    'RUN head -1 /proc/self/uid_map > /ids; grep CapBnd /proc/self/status > /capabilities',
    'RUN grep -c build-[01] /proc/self/cgroup > /cgroups; touch /theirs; chown 33:34 /theirs',
    SMOKE,
  ];
  await lab.build(lab.writeStack('looking', lines));
  const { output } = await lab.run('looking', [
    ...['sh', '-c'],
    'cat /devices; cat /ids | tr -s " "; cat /capabilities; test $(cat /cgroups) -gt 0 && stat -c %u:%g /theirs /devices',
  ]);
  const names = ['full', 'null', 'random', 'tty', 'urandom', 'zero'];
  const said = (output.stdout ?? '').trim().split('\n');
  const [ids, capabilities, ...owners] = said.slice(names.length);
  expect(said.slice(0, names.length)).toEqual(names.map((name) => `/dev/${name}`));
  expect(ids).toMatch(/^ 0 21[0-9]{8} 65536$/);
  // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setfcap
  expect(capabilities).toBe('CapBnd:\t00000000800000fb');
  expect(owners).toEqual(['33:34', '0:0']);
});

it('a build closes its folders to other users, even those that were open before', async () => {
  const { root } = lab.layout;
  chmodSync(`${root}/build`, 0o755);
  let modes: readonly number[] = [];
  await lab.build(lab.writeStack('closed', ['FROM localhost/below', 'RUN true', SMOKE]), {
    onProgress: () => {
      const folders = [`${root}/build`, `${root}/build/0`, `${root}/build/bases`];
      modes = folders.map((folder) => statSync(folder).mode & 0o777);
    },
  });
  expect(modes).toEqual([0o700, 0o700, 0o700]);
});

it('a build makes the same layers with any umask', async () => {
  const lines = [...BUSYBOX_IMAGE, 'RUN mkdir /made && touch /made/file', SMOKE];
  const layersOf = async (name: string) =>
    showStack(lab.layout, stackName(name)).layers.map(({ id }) => id);
  await lab.build(lab.writeStack('masked', lines));
  const before = await layersOf('masked');
  const umask = process.umask(0o077);
  try {
    await lab.build(lab.writeStack('masked', lines));
  } finally {
    process.umask(umask);
  }
  expect(await layersOf('masked')).toEqual(before);
});
