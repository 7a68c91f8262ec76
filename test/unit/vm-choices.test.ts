/** The options of `npm run test:vm`, and which files each guest runs. */
import { describe, expect, it } from 'vitest';
import { guests } from '../../scripts/steps/vm-guests.mjs';
import { parseVmOptions } from '../../scripts/steps/vm-options.mjs';
import { afterPowerCut, chooseVmFiles } from '../../scripts/steps/vm-tests.mjs';

const everything = { runtime: 'runc', core: false, asked: [] };
const core = { ...everything, core: true };

describe('parseVmOptions', () => {
  it('selects everything, with three power cuts, by default', () => {
    expect(parseVmOptions([])).toEqual({
      core: false,
      guests: [],
      runtimes: [],
      files: [],
      powerCuts: 3,
    });
  });

  it('cuts the power once in the core, and never for named files', () => {
    expect(parseVmOptions(['--core'])).toMatchObject({ core: true, powerCuts: 1 });
    const given = ['--guest=debian-12', '--runtime=crun', 'reap'];
    expect(parseVmOptions(given)).toEqual({
      core: false,
      guests: ['debian-12'],
      runtimes: ['crun'],
      files: ['reap'],
      powerCuts: 0,
    });
    expect(parseVmOptions(['--power-cuts=2', 'reap']).powerCuts).toBe(2);
  });

  it.each(['--guest=debian-9', '--runtime=runsc', '--cores', '--power-cuts=many'])(
    'refuses %s',
    (option) => {
      expect(() => parseVmOptions([option])).toThrow(/^not known|^no such option/);
    },
  );
});

describe('chooseVmFiles', () => {
  it.each(guests)('selects files of every lane for $name, each once', (guest) => {
    const files = chooseVmFiles(guest, everything);
    const lanes = new Set(files.map((file) => file.split('/')[0]));
    expect([...lanes]).toEqual(['integration', 'e2e', 'security', 'vm']);
    expect(new Set(files).size).toBe(files.length);
    expect(files).not.toContain(afterPowerCut);
  });

  it('selects no file that needs the archive, and none that builds in a guest that cannot build', () => {
    const [builder, other] = guests;
    if (builder === undefined || other === undefined) throw new Error('two guests');
    expect(chooseVmFiles(builder, everything)).not.toContain('e2e/stacks-real.test.ts');
    expect(chooseVmFiles(builder, everything)).toContain('integration/images-build.test.ts');
    expect(chooseVmFiles(other, everything)).not.toContain('integration/images-build.test.ts');
  });

  it.each(guests)(
    'selects the core for $name on both runtimes, and of the core the named files',
    (guest) => {
      const all = chooseVmFiles(guest, everything).length;
      for (const runtime of ['runc', 'crun']) {
        const files = chooseVmFiles(guest, { ...core, runtime });
        expect(files).toContain('e2e/run-verdicts.test.ts');
        expect(files.length).toBeLessThan(all / 3);
      }
      expect(chooseVmFiles(guest, { ...core, asked: ['verdicts'] })).toEqual([
        'e2e/run-verdicts.test.ts',
      ]);
    },
  );
});
