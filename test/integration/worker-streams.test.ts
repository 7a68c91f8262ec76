/** The code of jobs, and what a running task tells: its log and its progress, on a real store. */

import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantName } from '../../src/core/ids.ts';
import { openDoor } from '../../src/door/open-stackshim.ts';
import { fileLog } from '../../src/worker/run/job-log.ts';
import { STORED, useInstallation } from '../support/installation/installation.ts';
import { waitUntil } from '../support/timing/wait-until.ts';
import { cancel, sh, useJobLabs } from './support/job-labs.ts';
import { STORE_KINDS, startJobStore } from './support/job-stores.ts';

/** A server begins processes of its own as it needs them. */
const { options } = useInstallation([/^process \d+ postgres /, STORED, /^file \S+\/packages\//]);

describe.each(STORE_KINDS)('on %s', (kind) => {
  const { openLab } = useJobLabs(() => startJobStore(kind), options);

  describe('code packages', () => {
    const lane = { tenant: 'acme' as TenantName };
    const door = openDoor(options);
    let folder: string;
    let image: string;
    beforeAll(async () => {
      folder = mkdtempSync('/var/tmp/stackshim-code-');
      writeFileSync(`${folder}/main.sh`, 'cat "$CONFIG_FILE" greeting; exit 5');
      writeFileSync(`${folder}/greeting`, 'hello');
      const added = await door.code.add('app', folder, {
        tenant: 'acme',
        stack: 'busybox',
        command: ['sh', 'main.sh'],
        config: 'from the package, ',
        memory: '48m',
        retries: 1,
      });
      image = added.image;
    });
    afterAll(async () => {
      await door.code.remove(['app'], { tenant: 'acme' });
      rmSync(folder, { recursive: true });
    });

    it('a job runs the package of its tenant, with the settings of the package', async () => {
      const lab = openLab({ lane });
      const job = await lab.runToEnd({ version: 1, code: 'app' });
      expect(job.attempts).toMatchObject([{ state: 'error' }, { state: 'error' }]);
      expect(job.result).toMatchObject({
        code: `app@${image}`,
        task: { exitCode: 5, stack: 'busybox', code: { name: 'app' } },
      });
      const [row] = await lab.logOf(job.id);
      expect(row?.['d']).toBe('from the package, hello');
      expect(lab.asked[0]?.memoryBytes).toBe(48 << 20);
    });

    it('what the job says wins, and a digest names the package', async () => {
      const lab = openLab({ lane });
      const bound = { version: 1, code: `app@${image}`, command: ['cat', 'greeting'], retries: 0 };
      const job = await lab.runToEnd({ ...bound, config: 'own' });
      expect(job.result).toMatchObject({ state: 'complete', code: `app@${image}` });
    });

    it.each([undefined, 'other'])('a job of tenant %s cannot run it', async (tenant) => {
      const owner = { tenant: tenant as TenantName | undefined };
      const lab = openLab({ lane: owner, context: { missingMs: 0 } });
      for (const code of ['app', `app@${image}`]) {
        const job = await lab.runToEnd({ version: 1, code, stack: 'busybox' });
        expect(job.result).toMatchObject({
          state: 'error',
          attempt: 0,
          error: { code: 'ERR_STACKSHIM_PACKAGE_NOT_FOUND' },
        });
      }
    });
  });

  describe('logs and progress', () => {
    it('what the task says about its progress is in its live state and its result', async () => {
      const lab = openLab();
      const script =
        'printf half > $TASK_PROGRESS_FILE; while [ ! -e /tmp/go ]; do sleep 0.05; done';
      const id = await lab.add(sh(script, { payload: 'x' }));
      const running = lab.runNext();
      await waitUntil(async () => {
        const { progress } = await lab.read(id);
        return typeof progress === 'object' && Reflect.get(progress, 'progress') === 'half';
      });
      await cancel(lab, id);
      await running;
      expect((await lab.read(id)).result?.progress).toBe('half');
    });

    it('the output is in the log, in order, with the bytes that are no text', async () => {
      const gate = mkdtempSync('/var/tmp/stackshim-gate-');
      chmodSync(gate, 0o755);
      const fields = () => ({ mounts: [`type=bind,source=${gate},target=/gate,readonly`] });
      const lab = openLab({ context: { fields } });
      const script =
        "printf 'a\\n'; printf 'b\\n' >&2; while [ ! -e /gate/on ]; do sleep 0.02; done; printf '\\377'";
      const id = await lab.add(sh(script));
      const running = lab.runNext();
      // The bytes that follow go into a row of their own.
      await waitUntil(async () => (await lab.logOf(id)).length === 2);
      writeFileSync(`${gate}/on`, '');
      await running;
      rmSync(gate, { recursive: true });
      expect(await lab.logOf(id)).toMatchObject([
        { a: 1, s: expect.stringMatching(/^(out|err)$/), d: expect.stringMatching(/^[ab]\n$/) },
        { a: 1, s: expect.stringMatching(/^(out|err)$/), d: expect.stringMatching(/^[ab]\n$/) },
        { a: 1, s: 'out', b: '/w==' },
      ]);
    });

    it('a long log is cut off, and says so', async () => {
      const lab = openLab({ context: { logBytes: 20_000 } });
      const job = await lab.runToEnd(sh('head -c 50000 /dev/zero | tr "\\0" x'));
      const rows = await lab.logOf(job.id);
      const text = rows.map(({ d }) => d).join('');
      // A row counts 128 bytes besides its output.
      expect(text).toBe(
        `${'x'.repeat(19_872)}\n[stackshim: 30128 further bytes of output were not kept]\n`,
      );
    });

    it('the log goes into a file if the worker has a folder for logs', async () => {
      const logFolder = mkdtempSync('/var/tmp/stackshim-logs-');
      const lab = openLab({ context: { logFolder } });
      const job = await lab.runToEnd(sh('echo one; exit 1', { retries: 1 }));
      expect(await lab.logOf(job.id)).toEqual([]);
      const file = `${logFolder}/${lab.lane.queue}~~/${job.id}.ndjson`;
      const rows = readFileSync(file, 'utf8').trimEnd().split('\n');
      // The disk was full.
      appendFileSync(file, '{"a":2,"t":1,"s":"out","d":"the beginn');
      await fileLog(file)(['{}']);
      expect(readFileSync(file, 'utf8')).toMatch(/the beginn\n\{\}\n$/);
      expect(rows.map((row) => JSON.parse(row))).toMatchObject([
        { a: 1, s: 'out', d: 'one\n' },
        { a: 2, s: 'out', d: 'one\n' },
      ]);
      rmSync(logFolder, { recursive: true });
    });

    it('a running job says where it runs', async () => {
      const lab = openLab();
      const id = await lab.add(sh('while :; do sleep 0.05; done'));
      const running = lab.runNext();
      const live = await waitUntil(async () => {
        const { progress } = await lab.read(id);
        return typeof progress === 'object' ? progress : undefined;
      });
      expect(live).toMatchObject({
        state: 'running',
        attempt: 1,
        worker: 'test/1',
        progress: null,
      });
      await cancel(lab, id);
      await running;
    });
  });
});
