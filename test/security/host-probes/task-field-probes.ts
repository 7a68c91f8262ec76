/** Host probes: fields of a task that name things of the host, or ask for more than the policy allows. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Call,
  type CallProbe,
  isTold,
  put,
  putFolder,
  putLink,
  putProgram,
  type RunningProbe,
  rootRanIt,
  shell,
  taskCall,
  toHostProbe,
  toRunningProbe,
} from '../support/host-attempt.ts';
import type { HostProbe, HostProbeScene } from '../support/host-probe.ts';

const group = 'fields of a task';
const INPUTS =
  'the policy’s `allow.inputs`, by default what may be bound, asked of the path without links; the file is opened where it was found';

/** `private/secret` belongs to root; `allowed` is the folder from which the policy allows inputs. */
function prepareFolders(scene: HostProbeScene): void {
  putFolder(scene, 'private', { mode: 0o700 });
  put(scene, 'private/secret', scene.secret, { mode: 0o600 });
  putFolder(scene, 'allowed');
}

const allowed = ({ folder }: HostProbeScene) => join(folder, 'allowed');

/** A task that may take its inputs only from `allowed`, and prints one of its files. */
const readTask = (scene: HostProbeScene, options: readonly string[], file: string): Call =>
  taskCall(scene, options, {
    policy: { allow: { bindSources: [allowed(scene)] } },
    command: ['cat', file],
  });

const PREFIX_CHECK = 'case "$1" in "$2"/*) cat "$1";; esac';

type InputProbe = Pick<CallProbe, 'name' | 'tries'> & {
  readonly options: (scene: HostProbeScene) => readonly string[];
  readonly file: string;
  /** The path in the field, if the stand-in checks how it begins; otherwise the stand-in checks nothing. */
  readonly path?: (scene: HostProbeScene) => string;
};

const toInputProbe = ({ options, file, path, ...described }: InputProbe): HostProbe =>
  toHostProbe({
    ...described,
    group,
    stoppedBy: INPUTS,
    shownOn:
      path === undefined
        ? 'a script that reads what it is told to'
        : 'a script that reads paths that begin with the allowed folder’s',
    prepare: prepareFolders,
    stackshim: (scene) => readTask(scene, options(scene), file),
    naive: (scene) =>
      path === undefined
        ? shell('cat "$1"', join(scene.folder, 'private/secret'))
        : shell(PREFIX_CHECK, path(scene), allowed(scene)),
    judge: isTold,
  });

const secretLink = (scene: HostProbeScene) => {
  const path = join(allowed(scene), 'link');
  if (!existsSync(path)) putLink(scene, 'allowed/link', '../private/secret');
  return path;
};
const folderLink = (scene: HostProbeScene) => {
  const path = join(allowed(scene), 'code');
  if (!existsSync(path)) putLink(scene, 'allowed/code', '../private');
  return path;
};
const upAgain = (scene: HostProbeScene) => `${allowed(scene)}/../private/secret`;

const inputProbes: readonly InputProbe[] = [
  {
    name: 'payload file of root',
    tries: 'names a file of root’s as its payload, where the policy allows another folder',
    options: ({ folder }) => ['--payload-file', join(folder, 'private/secret')],
    file: '/run/stackshim/payload',
  },
  {
    name: 'payload file by a link',
    tries: 'names a link in an allowed folder that leads to a file of root’s',
    options: (scene) => ['--payload-file', secretLink(scene)],
    file: '/run/stackshim/payload',
    path: secretLink,
  },
  {
    name: 'config file by `..`',
    tries: 'names `ALLOWED/../private/secret` as its config',
    options: (scene) => ['--config-file', upAgain(scene)],
    file: '/run/stackshim/config',
    path: upAgain,
  },
  {
    name: 'code from a directory of root',
    tries: 'names a directory of root’s as its code',
    options: ({ folder }) => ['--code', join(folder, 'private')],
    file: '/task/secret',
  },
  {
    name: 'code by a link',
    tries: 'names a link in an allowed folder that leads to a directory of root’s as its code',
    options: (scene) => ['--code', folderLink(scene)],
    file: '/task/secret',
    path: (scene) => `${folderLink(scene)}/secret`,
  },
];

const bindByLink = toHostProbe({
  name: 'bind by a link',
  group,
  tries: 'binds a link in an allowed folder that leads to a directory of root’s',
  stoppedBy: 'the policy’s `allow.bindSources`, asked of the path without links',
  shownOn: 'a script that reads paths that begin with the allowed folder’s',
  prepare: prepareFolders,
  stackshim: (scene) =>
    readTask(scene, ['--userns', 'host', '-v', `${folderLink(scene)}:/x:ro`], '/x/secret'),
  naive: (scene) => shell(PREFIX_CHECK, `${folderLink(scene)}/secret`, allowed(scene)),
  judge: isTold,
});

const seccompFile = toHostProbe({
  name: 'seccomp profile from anywhere',
  group,
  tries:
    'brings a profile that allows every system call, from a folder that the policy does not allow',
  stoppedBy: INPUTS,
  shownOn: 'a program that runs under the filter it is handed: none',
  prepare(scene) {
    prepareFolders(scene);
    put(scene, 'mine/profile.json', { defaultAction: 'SCMP_ACT_ALLOW' });
  },
  stackshim: (scene) =>
    taskCall(scene, ['--security-opt', `seccomp=${scene.folder}/mine/profile.json`], {
      policy: { allow: { bindSources: [allowed(scene)] } },
      command: ['sh', '-c', `unshare -U true && echo ${scene.secret}`],
    }),
  naive: ({ secret }) => shell('busybox unshare -U true && echo "$1"', secret),
  judge: isTold,
});

const deviceByLink = toHostProbe({
  name: 'device by a link',
  group,
  tries: 'asks for a device by a link in a folder whose devices the policy allows',
  stoppedBy: 'the policy’s `allow.devices`, asked of the path without links',
  shownOn: 'a script that opens paths that begin with the allowed folder’s',
  prepare(scene) {
    prepareFolders(scene);
    execFileSync('mknod', ['-m', '600', join(scene.folder, 'private/node'), 'c', '1', '5']);
    putLink(scene, 'allowed/node', '../private/node');
  },
  stackshim: (scene) =>
    taskCall(scene, ['--device', `${allowed(scene)}/node:/dev/taken:r`], {
      policy: { allow: { devices: [allowed(scene)] } },
      command: ['sh', '-c', `head -c 1 /dev/taken && echo ${scene.secret}`],
    }),
  naive: (scene) =>
    shell(
      'case "$1" in "$2"/*) head -c 1 "$1" && echo "$3";; esac',
      `${allowed(scene)}/node`,
      allowed(scene),
      scene.secret,
    ),
  judge: isTold,
});

const runtimeByDots = toHostProbe({
  name: 'runtime by `..`',
  group,
  tries: 'names `ALLOWED/../other/runtime` as its runtime',
  stoppedBy:
    'paths are normalised before the policy is asked; the policy lists programs, not folders',
  shownOn: 'a script that executes paths that begin with the allowed folder’s',
  prepare(scene) {
    putProgram(scene, 'allowed/runtime');
    putProgram(scene, 'other/runtime');
  },
  stackshim: (scene) =>
    taskCall(scene, ['--runtime', `${allowed(scene)}/../other/runtime`], {
      policy: { allow: { runtimes: ['runc', `${allowed(scene)}/runtime`] } },
    }),
  naive: (scene) =>
    shell('case "$1" in "$2"/*) "$1";; esac', `${allowed(scene)}/../other/runtime`, allowed(scene)),
  judge: rootRanIt,
});

const bundleByDots = toHostProbe({
  name: 'bundle template by a path',
  group,
  tries: 'names a template of its own by `../` and its path',
  stoppedBy: 'the name of a template is lower-case letters, digits and `-`',
  shownOn: 'a script that reads `NAME.json` in the folder of templates',
  prepare: (scene) => void put(scene, 'evil.json', { env: [scene.secret] }),
  stackshim: (scene) =>
    taskCall(scene, ['--bundle', `../../../../../../..${scene.folder}/evil`], { command: ['env'] }),
  naive: ({ folder }) => shell('cd /usr/share && cat "./$1.json"', `../..${folder}/evil`),
  judge: isTold,
});

/** Fields that become part of a path below the run folder. */
const toPathProbe = (name: string, option: string): HostProbe =>
  toHostProbe({
    name: `${name} that is a path`,
    group,
    tries: `gives a ${name} of \`../\` and a path, to have files made there`,
    stoppedBy: 'a name is letters, digits, `_`, `.` and `-`, the first a letter or digit',
    shownOn: 'a script that makes a folder of the name',
    stackshim: (scene) => taskCall(scene, [option, `../../../../../../..${scene.folder}/made`]),
    naive: ({ folder }) => shell('cd /var/tmp && mkdir -p "./$1"', `../..${folder}/made`),
    judge: ({ folder }) => existsSync(join(folder, 'made')),
  });

const hostName = toHostProbe({
  name: 'line break in the host name',
  group,
  tries: 'puts a line of its own into the hosts file, by a name with a line break in it',
  stoppedBy: 'a host name is letters, digits, `_`, `.` and `-`',
  shownOn: 'a script that writes a hosts file',
  stackshim: (scene) =>
    taskCall(scene, ['--hostname', `name\n192.0.2.1 ${scene.secret}`], {
      command: ['grep', '^192', '/etc/hosts'],
    }),
  naive: (scene) =>
    shell(
      'printf "127.0.0.1 %s\\n" "$1" > "$2" && grep ^192 "$2"',
      `name\n192.0.2.1 ${scene.secret}`,
      join(scene.folder, 'hosts'),
    ),
  judge: isTold,
});

/** Code whose `out` leads out of the root filesystem, for a program that follows links as the host does. */
const putLeadingOut = (scene: HostProbeScene): void => {
  putLink(scene, 'code/out', scene.folder);
  putFolder(scene, 'code');
};

const workdirByLink = toHostProbe({
  name: 'working directory by a link',
  group,
  tries: 'names a working directory below a link of its code that leads to a folder of the host',
  stoppedBy: 'the runtime makes it inside of the container’s root, where links stay inside',
  shownOn: 'a script that makes the directory below the root filesystem’s path',
  prepare: putLeadingOut,
  stackshim: (scene) =>
    taskCall(scene, ['--code', join(scene.folder, 'code'), '--workdir', '/task/out/made']),
  naive: ({ folder }) => shell('mkdir -p "$1/out/made"', join(folder, 'code')),
  judge: ({ folder }) => existsSync(join(folder, 'made')),
});

const tmpfsByLink = toHostProbe({
  name: 'tmpfs by a link',
  group,
  tries: 'has a tmpfs mounted below a link of its code that leads to a folder of the host',
  stoppedBy: 'the runtime mounts inside of the container’s root, where links stay inside',
  shownOn: 'a script that mounts below the root filesystem’s path',
  prepare: putLeadingOut,
  stackshim: (scene) =>
    taskCall(scene, ['--code', join(scene.folder, 'code'), '--tmpfs', '/task/out/made']),
  naive: ({ folder }) =>
    shell(
      'unshare --mount sh -c \'mkdir -p "$1" && mount -t tmpfs none "$1"\' sh "$1/out/made"',
      join(folder, 'code'),
    ),
  // Both create the mount point first.
  judge: ({ folder }) => existsSync(join(folder, 'made')),
});

const environment = toHostProbe({
  name: 'environment for the host’s programs',
  group,
  tries: 'sets PATH and LD_PRELOAD, for the programs that root starts on its behalf',
  stoppedBy:
    'a task’s variables are in its configuration alone; programs of the host have an environment of their own',
  shownOn: 'a script that starts a program with the task’s environment',
  prepare: (scene) => void putProgram(scene, 'bin/runc'),
  stackshim: ({ folder, ...scene }) =>
    taskCall(
      { folder, ...scene },
      ['-e', `PATH=${folder}/bin`, '-e', `LD_PRELOAD=${folder}/x.so`],
      {
        command: ['/bin/true'],
      },
    ),
  naive: ({ folder }) => shell('env "$1" runc --version', `PATH=${folder}/bin:/usr/bin:/bin`),
  judge: rootRanIt,
});

const STAYS = 'echo; echo tried; exec sleep 3600';
const NAIVE = 'exec sh -c "$1"';

/** Namespaces of the host. */
const toNamespaceProbe = (
  described: Pick<RunningProbe, 'name' | 'tries' | 'stoppedBy' | 'policy'>,
  file: string,
  options: readonly string[],
): HostProbe =>
  toRunningProbe({
    ...described,
    group,
    shownOn: 'a script that starts the program as it is',
    options: () => options,
    program: STAYS,
    naive: NAIVE,
    judge: (pid) =>
      readlinkSync(`/proc/${pid}/ns/${file}`) === readlinkSync(`/proc/self/ns/${file}`),
  });

const namespaceProbes = [
  toNamespaceProbe(
    {
      name: 'network of the host',
      tries: 'asks for the host’s network, where the policy has `none`',
      stoppedBy: 'the policy’s `allow.networks`',
      policy: { allow: { networks: ['none'] } },
    },
    'net',
    ['--network', 'host'],
  ),
  toNamespaceProbe(
    {
      name: 'user namespace of the host',
      tries: 'asks to be root of the host, where the policy has `auto`',
      stoppedBy: 'the policy’s `allow.userns`',
      policy: { allow: { userns: ['auto'] } },
    },
    'user',
    ['--userns', 'host'],
  ),
  toNamespaceProbe(
    {
      name: 'processes of the host',
      tries: 'asks to see and signal the host’s processes, without a policy that lets it',
      stoppedBy: 'the policy’s `allow.pid`: `private` unless it says otherwise',
      policy: {},
    },
    'pid',
    ['--pid', 'host', '--userns', 'host'],
  ),
];

const LIMIT = /^Max core file size +(\S+) +unlimited/m;

const ulimit = toRunningProbe({
  name: 'resource limit above the policy’s',
  group,
  tries: 'asks for core files of any size, where the policy’s maximum is 0',
  stoppedBy: 'the policy’s `maxima.ulimits`',
  shownOn: 'a script that sets the limit it is asked for',
  options: () => ['--ulimit', 'core=-1'],
  policy: { maxima: { ulimits: ['core=0'] } },
  program: STAYS,
  naive: `ulimit -c unlimited; ${NAIVE}`,
  judge: (pid) => LIMIT.test(readFileSync(`/proc/${pid}/limits`, 'utf8')),
});

const stopTimeout = toRunningProbe({
  name: 'an hour to stop',
  group,
  tries: 'asks for an hour between TERM and KILL, and ignores TERM when its time is over',
  stoppedBy: 'the policy’s `maxima.stopTimeout`',
  shownOn: 'a script that sends TERM after a second, and KILL after an hour',
  options: () => ['--timeout', '1s', '--stop-timeout', '1h'],
  policy: { maxima: { stopTimeout: '1s' } },
  // Prints when it was asked to end, and continues.
  program: 'trap "echo; echo tried" TERM; while :; do sleep 0.1; done',
  naive: `sh -c 'sleep 1; kill -TERM "$1"' sh $$ & ${NAIVE}`,
  judge: (pid) => existsSync(`/proc/${pid}`),
});

export const taskFieldProbes: readonly HostProbe[] = [
  ...inputProbes.map(toInputProbe),
  bindByLink,
  seccompFile,
  deviceByLink,
  runtimeByDots,
  bundleByDots,
  toPathProbe('task id', '--name'),
  toPathProbe('tenant', '--tenant'),
  hostName,
  workdirByLink,
  tmpfsByLink,
  environment,
  ...namespaceProbes,
  ulimit,
  stopTimeout,
];
