/** What `npm run test:vm` is asked for, and which files it takes into which guest. */
import { describe, expect, it } from 'vitest';
import { guests } from '../../scripts/steps/vm-guests.mjs';
import { parseVmOptions } from '../../scripts/steps/vm-options.mjs';
import { afterPowerCut, chooseVmFiles } from '../../scripts/steps/vm-tests.mjs';

const everything = { core: false, asked: [] };
const filesIn = (guest: (typeof guests)[number], options: Parameters<typeof chooseVmFiles>[1]) =>
  chooseVmFiles(guest, options).flatMap(({ files }) => files);

describe('parseVmOptions', () => {
  it('takes everything, with three power cuts, when nothing is asked for', () => {
    expect(parseVmOptions([])).toEqual({
      core: false,
      guests: [],
      runtimes: [],
      files: [],
      powerCuts: 3,
    });
  });

  it('cuts the power once in the core, and not at all for files that were named', () => {
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
  it.each(guests)('runs files of every lane in $name, each once', (guest) => {
    const chosen = chooseVmFiles(guest, everything);
    expect(chosen.map(({ lane }) => lane)).toEqual(['integration', 'e2e', 'security', 'vm']);
    const files = filesIn(guest, everything);
    expect(new Set(files).size).toBe(files.length);
    expect(files).not.toContain(afterPowerCut);
  });

  it('takes no file that needs the archive, and none that builds where nothing can be built', () => {
    const [builder, other] = guests;
    if (builder === undefined || other === undefined) throw new Error('two guests');
    expect(filesIn(builder, everything)).not.toContain('e2e/stacks-real.test.ts');
    expect(filesIn(builder, everything)).toContain('integration/images-build.test.ts');
    expect(filesIn(other, everything)).not.toContain('integration/images-build.test.ts');
  });

  it('takes the core, and of that what was asked for', () => {
    const [guest] = guests;
    if (guest === undefined) throw new Error('a guest');
    const core = filesIn(guest, { core: true, asked: [] });
    expect(core).toContain('e2e/run-verdicts.test.ts');
    expect(core.length).toBeLessThan(filesIn(guest, everything).length / 3);
    expect(filesIn(guest, { core: true, asked: ['verdicts'] })).toEqual([
      'e2e/run-verdicts.test.ts',
    ]);
  });
});
