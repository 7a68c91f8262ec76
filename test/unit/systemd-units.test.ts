/** The shipped unit files: what systemd and an operator rely on. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Settings that give a service its own mount namespace: what it unmounts there stays mounted elsewhere (systemd.exec(5)). */
const MAKES_MOUNTS =
  /^(Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Proc)|Private(Tmp|Devices|Mounts|Users)|ProcSubset|MountFlags|(Read(Write|Only)|Inaccessible|Exec|NoExec)Paths|Bind(ReadOnly)?Paths|TemporaryFileSystem|Root(Directory|Image)|DynamicUser|PrivateNetwork|NetworkNamespacePath|ProtectHostname)$/;

type Unit = Readonly<Record<string, readonly (readonly [key: string, value: string])[]>>;

/** Reads sections with their settings, per systemd.syntax(7); any other line fails. */
function readUnit(name: string): Unit {
  const text = readFileSync(new URL(`../../systemd/${name}`, import.meta.url), 'utf8');
  const sections: Record<string, (readonly [string, string])[]> = {};
  let section: (readonly [string, string])[] | undefined;
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[([A-Z][a-z]+)\]$/.exec(line)?.[1];
    if (header !== undefined) {
      section = [];
      sections[header] = section;
      continue;
    }
    const setting = /^([A-Z][A-Za-z]+)=(.+)$/.exec(line);
    if (setting === null || section === undefined) throw new Error(`${name}: ${line}`);
    section.push([setting[1] ?? '', setting[2] ?? '']);
  }
  return sections;
}

const valuesOf = (unit: Unit, section: string, key: string) =>
  unit[section]?.filter(([name]) => name === key).map(([, value]) => value);

it('the update service updates all stacks once, keeps some revisions, and can be configured', () => {
  const unit = readUnit('stackshim-update.service');
  expect(Object.keys(unit)).toEqual(['Unit', 'Service']);
  expect(valuesOf(unit, 'Service', 'Type')).toEqual(['oneshot']);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: systemd puts the variable in.
  const command = '/usr/local/bin/stackshim stack update --all --keep ${STACKSHIM_KEEP}';
  expect(valuesOf(unit, 'Service', 'ExecStart')).toEqual([command]);
  expect(valuesOf(unit, 'Service', 'ExecStopPost')).toEqual(['-/usr/local/bin/stackshim gc']);
  expect(valuesOf(unit, 'Service', 'Environment')).toEqual([
    'STACKSHIM_KEEP=5',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'LC_ALL=C.UTF-8',
  ]);
  expect(valuesOf(unit, 'Service', 'EnvironmentFile')).toEqual(['-/etc/default/stackshim']);
});

it.each(['stackshim-update.service', 'stackshim-reap.service', 'stackshim-worker@.service'])(
  '%s has only the rights that it needs, in the mount namespace of the machine',
  (name) => {
    const unit = readUnit(name);
    const set = (key: string) => valuesOf(unit, 'Service', key);
    expect(unit['Service']?.filter(([key]) => MAKES_MOUNTS.test(key))).toEqual([]);
    expect(set('UMask')).toEqual(['0077']);
    expect(set('LimitCORE')).toEqual(['0']);
    expect(set('KeyringMode')).toEqual(['private']);
    expect(set('LockPersonality')).toEqual(['yes']);
    expect(set('RestrictRealtime')).toEqual(['yes']);
    expect(set('SystemCallArchitectures')).toEqual(['native']);
    expect(set('SystemCallErrorNumber')).toEqual(['EPERM']);
    expect(set('RestrictAddressFamilies')).toHaveLength(1);
    expect(set('CapabilityBoundingSet')?.length).toBeGreaterThan(0);
    expect(set('SystemCallFilter')?.length).toBeGreaterThan(0);
    for (const variable of ['LD_PRELOAD', 'NODE_OPTIONS', 'BUN_OPTIONS', 'BUN_BE_BUN']) {
      expect(set('UnsetEnvironment')?.join(' ').split(' ')).toContain(variable);
    }
  },
);

it('the update has limits on memory and time, and one stack without memory ends no other', () => {
  const unit = readUnit('stackshim-update.service');
  const settings = ['MemoryMax', 'TasksMax', 'OOMPolicy', 'TimeoutStartSec', 'TimeoutStopSec'];
  expect(settings.map((key) => valuesOf(unit, 'Service', key)?.[0])).toEqual([
    '4G',
    '4096',
    'continue',
    '6h',
    '2min',
  ]);
});

it('the service gets its stop signal before anything is killed', () => {
  expect(valuesOf(readUnit('stackshim-update.service'), 'Service', 'KillMode')).toEqual(['mixed']);
});

it('the timer starts the service of the same name every night, and catches up on missed nights', () => {
  const unit = readUnit('stackshim-update.timer');
  expect(Object.keys(unit)).toEqual(['Unit', 'Timer', 'Install']);
  expect(valuesOf(unit, 'Timer', 'OnCalendar')).toEqual(['*-*-* 03:00:00']);
  expect(valuesOf(unit, 'Timer', 'Persistent')).toEqual(['true']);
  expect(valuesOf(unit, 'Timer', 'Unit')).toEqual([]);
  expect(valuesOf(unit, 'Install', 'WantedBy')).toEqual(['timers.target']);
});

it('the units are part of the package', () => {
  const { files } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  expect(files).toContain('systemd');
});

it('the reaping service never ends, and runs in the mount namespace of the machine', () => {
  const unit = readUnit('stackshim-reap.service');
  expect(Object.keys(unit)).toEqual(['Unit', 'Service', 'Install']);
  expect(valuesOf(unit, 'Service', 'ExecStart')).toEqual(['/usr/local/bin/stackshim reap --watch']);
  expect(valuesOf(unit, 'Service', 'Restart')).toEqual(['always']);
  expect(valuesOf(unit, 'Service', 'EnvironmentFile')).toEqual(['-/etc/default/stackshim']);
  expect(unit['Service']?.filter(([key]) => MAKES_MOUNTS.test(key))).toEqual([]);
});

describe('the worker', () => {
  const unit = readUnit('stackshim-worker@.service');
  const set = (key: string) => valuesOf(unit, 'Service', key);

  it('serves the queue of its name, unless a file says otherwise', () => {
    const command =
      '/usr/local/bin/stackshim worker --health /run/stackshim-worker/%i/health $STACKSHIM_WORKER_OPTIONS $STACKSHIM_QUEUES';
    expect(Object.keys(unit)).toEqual(['Unit', 'Service', 'Install']);
    expect(set('ExecStart')).toEqual([command]);
    expect(set('Environment')).toContain('STACKSHIM_QUEUES=%i');
    expect(set('EnvironmentFile')).toEqual([
      '-/etc/default/stackshim',
      '-/etc/stackshim/worker.env',
      '-/etc/stackshim/worker-%i.env',
    ]);
    expect([set('RuntimeDirectory'), set('RuntimeDirectoryMode')]).toEqual([
      ['stackshim-worker/%i'],
      ['0700'],
    ]);
  });

  it('gets the password of the store as a credential that need not exist', () => {
    // With a path, a missing file would keep the service from starting: systemd.exec(5).
    expect(set('LoadCredential')).toEqual(['stackshim-store-password']);
  });

  it('is watched, drains on TERM, and has its tasks reaped', () => {
    const settings = ['Type', 'WatchdogSec', 'Restart', 'KillMode', 'ExecStopPost'];
    expect(settings.map((key) => set(key))).toEqual([
      ['notify'],
      ['60s'],
      ['on-failure'],
      ['mixed'],
      ['-/usr/local/bin/stackshim reap'],
    ]);
    expect(valuesOf(unit, 'Unit', 'StartLimitIntervalSec')).toEqual(['0']);
  });

  it('has limits, and a helper without memory ends no worker', () => {
    const settings = ['MemoryMax', 'TasksMax', 'OOMPolicy', 'NoNewPrivileges'];
    expect(settings.map((key) => set(key)?.[0])).toEqual(['2G', '4096', 'continue', 'yes']);
  });
});
