/** Packs code and imports layers, and returns the results, to compare the two engines. */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { layoutFrom } from '../../../src/core/layout.ts';
import { packCode } from '../../../src/packages/pack-code.ts';
import { importLayer } from '../../../src/store/layers/import-layer.ts';
import { linuxSystem } from '../../../src/sys/linux-system.ts';
import { workers } from '../../support/installation/workers.ts';

export interface EngineOutcome {
  /** A pair for each source: packed as code, imported as a gzip layer. An error is given by its code. */
  readonly results: readonly unknown[];
  readonly leftovers: readonly string[];
}

/** Works in `folder`; its `root/` contains the layers afterwards. */
export async function packAndImport(
  folder: string,
  sources: readonly string[],
): Promise<EngineOutcome> {
  const layout = layoutFrom({ root: `${folder}/root`, run: `${folder}/run` }, {});
  const results: unknown[] = [];
  for (const source of sources) {
    const image = `${folder}/code.erofs`;
    const packed = await orCode(async () => {
      const report = await packCode(source, image, { workers });
      return { ...report, sha256: createHash('sha256').update(readFileSync(image)).digest('hex') };
    });
    const imported = await orCode(async () => {
      const options = { layout, system: linuxSystem, compression: 'gzip' as const };
      return (await importLayer(createReadStream(source), options)).record;
    });
    results.push([packed, imported]);
  }
  return { results, leftovers: readdirSync(`${layout.root}/tmp`) };
}

async function orCode(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : String(error);
  }
}
