/** Checks whether this user and this kernel can run tasks, from facts and from texts of /proc. Pure. */
import { type HostFacts, isKernelAtLeast } from '../sys/host-facts.ts';
import { type Check, failed, optional, passed, required, warned } from './check.ts';

const NEWER_KERNEL = 'boot a kernel of version 5.19 or later, as Debian 12 and 13 have';
const ENOUGH_DESCRIPTORS = 4096;
/** The least memory that an open file costs a task: the kernel's `filp`. */
const OPEN_FILE_BYTES = 192;
const MEBIBYTE = 1024 * 1024;
/** 16 KiB for a task in every slot: three times the size of the default profile. */
const ENOUGH_FOR_FILTERS = 64 * MEBIBYTE;

export function checkRoot(facts: HostFacts): Check {
  return facts.isRoot
    ? passed(required('root'), 'running as root')
    : failed(required('root'), 'not running as root', 'run it as root (sudo stackshim …)');
}

/** The mount API and idmapped overlay layers determine the required version. */
export function checkKernelVersion(facts: HostFacts): Check {
  const message = `Linux ${facts.kernelRelease} on ${facts.architecture}`;
  return isKernelAtLeast(facts, 5, 19)
    ? passed(required('kernel'), message)
    : failed(required('kernel'), `${message}: older than 5.19`, NEWER_KERNEL);
}

/** Checks for a filesystem. `filesystems` is the text of /proc/filesystems, which lacks modules that are not loaded yet: `modules` lists those. */
export function checkFilesystem(
  name: 'overlay' | 'erofs',
  filesystems: string,
  modules: string,
): Check {
  const subject = required(name);
  const listed = filesystems.split('\n').some((line) => line.split('\t')[1] === name);
  if (listed) return passed(subject, `the kernel has ${name}`);
  return modules.includes(`/${name}.ko`)
    ? passed(subject, `the kernel loads ${name} as a module`)
    : failed(
        subject,
        `the kernel has no ${name}`,
        `boot a kernel with ${name}, or load its module`,
      );
}

/** `maximum` is the text of /proc/sys/user/max_user_namespaces; undefined if the file does not exist. */
export function checkUserNamespaces(maximum: string | undefined): Check {
  const subject = required('user namespaces');
  if (maximum === undefined) {
    return failed(
      subject,
      'the kernel has no user namespaces',
      'boot a kernel with user namespaces',
    );
  }
  return Number(maximum) > 0
    ? passed(subject, `up to ${maximum.trim()} user namespaces`)
    : failed(
        subject,
        'user namespaces are turned off',
        'set the sysctl user.max_user_namespaces above 0',
      );
}

/** `actions` is the text of /proc/sys/kernel/seccomp/actions_avail; undefined if the file does not exist. */
export function checkSeccomp(actions: string | undefined): Check {
  const subject = required('seccomp');
  const available = actions?.trim().split(' ') ?? [];
  const missing = ['errno', 'allow'].filter((action) => !available.includes(action));
  return missing.length === 0
    ? passed(subject, 'the kernel filters system calls')
    : failed(
        subject,
        'the kernel cannot filter system calls',
        'boot a kernel with CONFIG_SECCOMP_FILTER',
      );
}

/**
 * Checks the pool into which the kernel compiles every task's system call filter, and which all programs of the host share. If the pool is
 * full, a start fails (errno 524). Tasks can put nothing else into it. `enabled` and `limit` are the texts of bpf_jit_enable and
 * bpf_jit_limit in /proc/sys/net/core; undefined if the file does not exist or cannot be read.
 */
export function checkFilterPool(enabled: string | undefined, limit: string | undefined): Check {
  const subject = optional('room for filters');
  if (limit === undefined || enabled?.trim() === '0') {
    return passed(subject, 'the kernel does not compile filters, or does not report their limit');
  }
  const bytes = Number(limit);
  const size = `${Math.floor(bytes / MEBIBYTE)} MiB for all filters of the host (net.core.bpf_jit_limit)`;
  return bytes >= ENOUGH_FOR_FILTERS
    ? passed(subject, size)
    : warned(
        subject,
        `only ${size}; when it is used up, no task can start`,
        `set the sysctl net.core.bpf_jit_limit to ${ENOUGH_FOR_FILTERS} or more`,
      );
}

/**
 * Checks the limit on open files of the machine. Open files count towards a task's memory, but if tasks use up the limit, users other than
 * root can open no file. `maximum` is the text of /proc/sys/fs/file-max.
 */
export function checkOpenFiles(maximum: string | undefined, memoryBytes: number): Check {
  const subject = optional('open files');
  const most = Math.floor(memoryBytes / OPEN_FILE_BYTES);
  return maximum === undefined || Number(maximum) >= most
    ? passed(subject, 'tasks run out of memory before the host runs out of open files')
    : warned(
        subject,
        `tasks can use up all ${maximum.trim()} open files of the host (fs.file-max)`,
        `set the sysctl fs.file-max to ${most} or more, as systemd does`,
      );
}

export function checkHardLimits(facts: HostFacts): Check {
  const subject = optional('hard limits');
  const files = facts.hardLimits['RLIMIT_NOFILE'] ?? 0;
  if (files < ENOUGH_DESCRIPTORS) {
    const message = `this process may open ${files} files: too few for many tasks at once`;
    return warned(
      subject,
      message,
      'raise the hard limit on open files (ulimit -Hn, LimitNOFILE=)',
    );
  }
  if (facts.canRaiseLimits) return passed(subject, "a task's limits can be set freely");
  return warned(
    subject,
    'without CAP_SYS_RESOURCE, no resource limit of a task can be above that of this process',
    'grant CAP_SYS_RESOURCE, or raise the hard limits of the process that starts stackshim',
  );
}

/** Checks whether a crash in a task makes the host run a program: the kernel applies no limits when it pipes a core. Pure. */
export function checkCorePattern(pattern: string | undefined): Check {
  const subject = optional('core files');
  const program = pattern?.startsWith('|') ? pattern.slice(1).trim().split(' ', 1)[0] : undefined;
  return program === undefined
    ? passed(subject, 'a task that crashes leaves no core file')
    : warned(
        subject,
        `a crash in a task starts ${program} on the host, as root (kernel.core_pattern)`,
        'set kernel.core_pattern to a file name, unless you want that program for tasks',
      );
}
