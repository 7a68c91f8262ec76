/** Parsers of what the kernel and the OCI runtimes report. */
import { expect } from 'vitest';
import type { CgroupDriver } from '../../../src/cgroup/cgroup-driver.ts';
import { cgroupV1 } from '../../../src/cgroup/cgroup-v1.ts';
import { cgroupV2 } from '../../../src/cgroup/cgroup-v2.ts';
import { hierarchiesOf, openCgroupDriver } from '../../../src/cgroup/open-cgroup-driver.ts';
import { loadTemplate } from '../../../src/oci/load-template.ts';
import {
  parseAnswer,
  parseInnerProcesses,
  parseWaitStatus,
} from '../../../src/runtime/drivers/gvisor-sandbox.ts';
import { parseControlSocket } from '../../../src/runtime/drivers/runsc.ts';
import { parseVersionOutput } from '../../../src/runtime/learn-version.ts';
import {
  classifyFailure,
  lastLogMessage,
  readLogTail,
  toStartFailure,
} from '../../../src/runtime/runtime-failure.ts';
import { parseKernelVersion, parseLimits } from '../../../src/sys/host-facts.ts';
import { parseMountinfo } from '../../../src/sys/mountinfo.ts';
import type { FuzzFiles } from '../support/fuzz-files.ts';
import type { FuzzTarget } from '../support/fuzz-target.ts';

const mountinfo = [
  '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
  '30 22 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs ro,mode=755',
  '31 30 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:7 master:2 - cgroup cgroup rw,memory',
  '32 30 0:28 / /sys/fs/cgroup/cpu\\040x rw - cgroup none rw,cpu,cpuacct',
  '33 22 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw',
].join('\n');

const SEPARATOR = '\u0001';
const v2Files = [
  'cpu.stat',
  'io.stat',
  'memory.events',
  'memory.peak',
  'pids.peak',
  'cgroup.procs',
];
const v2Sample = [
  'usage_usec 100\nuser_usec 60\nsystem_usec 40\n',
  '8:0 rbytes=4096 wbytes=0 rios=1 wios=0\n8:16 rbytes=1 wbytes=2\n',
  'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n',
  '9216000\n',
  '3\n',
  '100\n101\n',
].join(SEPARATOR);
const v1Files = [
  ...['cpuacct.usage_user', 'cpuacct.usage_sys', 'cpuacct.stat', 'memory.max_usage_in_bytes'],
  ...[
    'pids.peak',
    'memory.oom_control',
    'blkio.throttle.io_service_bytes_recursive',
    'cgroup.procs',
  ],
];
const v1Sample = [
  ...['60000000\n', '40000000\n', 'user 6\nsystem 4\n', '9216000\n', '3\n'],
  'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
  '8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n',
  '100\n101\n',
].join(SEPARATOR);

/** Writes the parts of `text` as the files of one cgroup and reads all of them. */
function readCgroup(
  files: FuzzFiles,
  names: readonly string[],
  text: string,
  open: () => CgroupDriver,
) {
  const parts = text.split(SEPARATOR);
  for (const [index, name] of names.entries()) {
    files.write(`cgroup/stackshim-f/t1/${name}`, parts[index] ?? '');
  }
  const driver = open();
  for (const value of Object.values(driver.readUsage('/stackshim-f/t1'))) {
    expect(value === null || (Number.isFinite(value) && value >= 0)).toBe(true);
  }
  for (const pid of driver.listProcesses('/stackshim-f/t1')) {
    expect(Number.isSafeInteger(pid) && pid > 0).toBe(true);
  }
}

const logs = [
  '{"level":"error","msg":"unable to start container process: exec: \\"x\\": executable file not found in $PATH","time":"2026"}',
  '{"level":"warning","msg":"a"}\n{"msg":"b","level":"fatal"}\nplain text\n{"cut',
];
const failures = [
  'exec: "no such": executable file not found in $PATH',
  'runc create failed: unable to start container process: error during container init: exec: "/a/b": stat /a/b: no such file or directory',
  'executable file `x` not found in $PATH: No such file or directory',
  'the path `/etc` is not a regular file: Operation not permitted',
  'starting container: starting root container: starting sandbox: error finding executable "x" in PATH [/bin]: no such file or directory',
  'starting container: starting root container: starting sandbox: creating process: failed to load /x: exec format error',
  'exec container process (missing dynamic library?) `//x`: No such file or directory',
  'mkdir /etc/passwd: not a directory',
  'container `t1` already exists',
];
const failureWords = [
  ...[
    'exec: "',
    '": ',
    'stat ',
    ': ',
    'starting container: ',
    'error finding executable "',
    '" in PATH ',
  ],
  ...[
    'creating process: failed to load ',
    'no such file or directory',
    'permission denied',
    '`',
    'mkdir ',
  ],
  ...['unable to set memory limit to 1 (current usage: 1, peak usage: 1)', 'unmapped', '\n'],
];

const versions = [
  'runc version 1.3.6+ds1\ncommit: 1.3.6\nspec: 1.2.0\ngo: go1.24',
  'crun version 1.21\ncommit: x\nrundir: /run/crun\nspec: 1.0.0\n+SYSTEMD',
  'runsc version release-20240729.0\nspec: 1.1.0-rc.1',
  'youki version 0.5.0\nspec: 1.0.0',
];

const limits = [
  'Limit                     Soft Limit           Hard Limit           Units     ',
  'Max cpu time              unlimited            unlimited            seconds   ',
  'Max open files            1024                 20000                files     ',
].join('\n');

const kernelTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  {
    name: 'mountinfo',
    form: 'text',
    weight: 2,
    samples: [mountinfo],
    words: [' - ', '\\040', '\\134', '/sys/fs/cgroup', 'cgroup', 'cgroup2', 'shared:1', '\n', ' '],
    run(text) {
      const mounts = parseMountinfo(text);
      hierarchiesOf(mounts);
      openCgroupDriver(mounts);
    },
  },
  {
    name: 'files of cgroup v2',
    form: 'text',
    samples: [v2Sample],
    words: ['oom_kill ', 'user_usec ', 'rbytes=', 'max', '\n', SEPARATOR, ' '],
    run: (text) => readCgroup(files, v2Files, text, () => cgroupV2(`${files.folder}/cgroup`)),
  },
  {
    name: 'files of cgroup v1',
    form: 'text',
    samples: [v1Sample],
    words: ['oom_kill ', 'Read ', 'Write ', 'user ', '\n', SEPARATOR, ' '],
    run(text) {
      const mountPoint = `${files.folder}/cgroup`;
      const controllers = ['memory', 'cpuacct', 'pids', 'blkio'];
      readCgroup(files, v1Files, text, () => cgroupV1([{ mountPoint, controllers }]));
    },
  },
  {
    name: 'versions of kernels',
    form: 'text',
    weight: 0.5,
    samples: ['6.12.48+deb13-amd64', '5.19'],
    run: parseKernelVersion,
  },
  {
    name: 'hard limits',
    form: 'text',
    weight: 0.5,
    samples: [limits],
    words: ['unlimited', 'Max open files            ', '\n'],
    run(text) {
      for (const value of Object.values(parseLimits(text))) expect(value).toBeGreaterThanOrEqual(0);
    },
  },
];

const runtimeTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  {
    name: 'logs of runtimes',
    form: 'text',
    weight: 2,
    samples: logs,
    words: ['"msg"', '"level":"error"', '{', '}', '\n'],
    run(text) {
      expect(readLogTail(files.write('log.json', text)).length).toBeLessThanOrEqual(8192);
      return lastLogMessage(text);
    },
  },
  {
    name: 'failures of runtimes',
    form: 'text',
    weight: 3,
    samples: failures,
    words: failureWords,
    run(text) {
      const runtime = { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.6' } as const;
      classifyFailure(text.slice(0, 8192));
      toStartFailure(runtime, { exitCode: 1, stderr: text });
    },
  },
  {
    name: 'versions of runtimes',
    form: 'text',
    samples: versions,
    words: ['version ', 'runc', 'runsc', 'spec: 1', 'release-', '\n'],
    run: (text) => parseVersionOutput('/usr/sbin/runc', text),
  },
  {
    name: 'states of runsc',
    form: 'document',
    samples: [{ id: 't1', sandbox: { controlSocketPath: '/run/stackshim/runtime/runsc-t1.sock' } }],
    words: ['controlSocketPath', 'sandbox', '/runsc-t1.sock', '../'],
    run(bytes) {
      const path = parseControlSocket(bytes.toString('utf8'), 't1');
      if (path !== undefined) expect(path).toMatch(/^\/(?:.*\/)?runsc-t1\.sock$/s);
    },
  },
  {
    name: 'answers of a gVisor sandbox',
    form: 'document',
    samples: [
      { success: true, err: '', result: 256 },
      { success: false, err: 'not started' },
      {
        ...{ success: true, err: '' },
        result: [
          { uid: 0, pid: 1, ppid: 0, c: 0, tty: '?', stime: '10:00', time: '1m2.5s', cmd: 'sh' },
        ],
      },
    ],
    words: ['success', 'result', 'pid', 'time', '1h'],
    run(bytes) {
      const answer = parseAnswer(bytes.toString('utf8'));
      parseInnerProcesses(answer?.result);
      const exit = parseWaitStatus(answer?.result);
      if (exit !== undefined)
        expect((exit.exitCode === null) !== (exit.signal === null)).toBe(true);
    },
  },
  {
    name: 'names of bundle templates',
    form: 'text',
    weight: 0.5,
    samples: ['default', 'fuse'],
    words: ['constructor', '__proto__', '../'],
    run: (text) => expect(loadTemplate(text).config.ociVersion).toBeDefined(),
  },
];

export const hostTargets = (files: FuzzFiles): readonly FuzzTarget[] => [
  ...kernelTargets(files),
  ...runtimeTargets(files),
];
