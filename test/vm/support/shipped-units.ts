/** The shipped systemd units, installed as docs/stacks.md and docs/recovery.md tell an operator. Requires: systemd. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { afterAll, beforeAll } from 'vitest';
import { STACKSHIM } from '../../support/cli/run-cli.ts';

/** The path of the executable in the units. */
export const INSTALLED = '/usr/local/bin/stackshim';

const shipped = new URL('../../../systemd/', import.meta.url).pathname;

const files = readdirSync(shipped);

/** The instance of a template unit that the tests use. */
const toInstance = (file: string) => file.replace('@.', '@mail.');

/** The timer stops before its service, which it would start again. */
export const units = files.map(toInstance).sort((a, b) => b.localeCompare(a));

export const systemctl = (...args: readonly string[]) =>
  execFileSync('systemctl', args, { encoding: 'utf8' }).trim();

export const showUnit = (unit: string, property: string) =>
  systemctl('show', '--value', '--property', property, unit);

/** Registers the hooks of a file. */
export function useShippedUnits(): void {
  beforeAll(() => {
    for (const file of files) copyFileSync(`${shipped}${file}`, `/etc/systemd/system/${file}`);
    symlinkSync(STACKSHIM, INSTALLED);
    systemctl('daemon-reload');
  });
  afterAll(() => {
    for (const unit of units) systemctl('stop', unit);
    for (const file of files) rmSync(`/etc/systemd/system/${file}`);
    rmSync(INSTALLED);
    systemctl('daemon-reload');
    systemctl('reset-failed');
  });
}
