/** With the host's network, a task in a user namespace gets the host's sysfs read-only, without the mounts below it. */
import { expect, it } from 'vitest';
import { runTask } from '../../src/door/open-stackshim.ts';
import { useInstallation } from '../support/installation/installation.ts';

const { options } = useInstallation();

const SCRIPT = `
  cut -d ' ' -f 5 /proc/self/mountinfo | grep '^/sys' | sort | uniq -d
  awk '$5 == "/sys" { print $6 }' /proc/self/mountinfo | grep -o 'ro,nosuid,nodev,noexec'
  cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max
`;

it.each(['none', 'host'])(
  'with the network %s each path below /sys is mounted once',
  async (network) => {
    const command = ['sh', '-c', SCRIPT];
    const result = await runTask({ stack: 'busybox', network, memory: '64m', command }, options);
    expect(result).toMatchObject({ verdict: 'succeeded', removed: true });
    expect(result.output.stdout).toBe('ro,nosuid,nodev,noexec\n67108864\n');
  },
);

it('with the host’s network no mount below /sys is the host’s own', async () => {
  const script = "cut -d ' ' -f 5 /proc/self/mountinfo | grep '^/sys' | grep -v cgroup | sort";
  const task = { stack: 'busybox', command: ['sh', '-c', script] };
  const [own, hosts] = [
    await runTask(task, options),
    await runTask({ ...task, network: 'host' }, options),
  ];
  expect(hosts.output.stdout).toBe(own.output.stdout);
});
