/** The same files give one digest on different machines, in different folders and at different times. */
import { describe, expect, it } from 'vitest';
import { showStack } from '../../src/store/stacks/list-stacks.ts';
import { BUSYBOX_IMAGE, useBuildLab } from '../support/stacks/build-lab.ts';
import { toStack } from '../support/stacks/exchange-lab.ts';
import { scaled } from '../support/timing/time-scale.ts';

const TIMEOUT = { timeout: scaled(240_000) };

const [here, there] = [useBuildLab(), useBuildLab()];

describe('a build', () => {
  it('of the same files gives the same digest on two installations', TIMEOUT, async () => {
    const built: { readonly base: string; readonly top: string }[] = [];
    for (const lab of [here, there]) {
      const base = await lab.build(
        lab.writeStack('base', [...BUSYBOX_IMAGE, 'LABEL io.stackshim.smoke=true']),
      );
      const top = await lab.build(
        lab.writeStack('top', ['FROM localhost/base', 'RUN echo made > /made', 'ENV A=b']),
      );
      const { image, content } = showStack(lab.layout, toStack('top'));
      expect({ image, content }).toEqual({ image: top.image, content: top.image });
      expect(await lab.run(`top@${top.image}`, ['cat', '/made'])).toMatchObject({
        output: { stdout: 'made\n' },
      });
      built.push({ base: base.image, top: top.image });
    }
    expect(built[1]).toEqual(built[0]);
  });
});
