/** The record of a task that has ended and was kept: collection keeps its image. */
import { parseTaskId } from '../../../src/core/ids.ts';
import type { Layout } from '../../../src/core/layout.ts';
import type { Revision } from '../../../src/store/stacks/revisions.ts';
import { ownIdentity } from '../../../src/sys/processes.ts';
import { createRecord } from '../../../src/task/records/record.ts';
import { namesOf, taskPlaces } from '../../../src/task/records/task-places.ts';
import { NOW } from '../../support/stacks/stack-store.ts';

export function keepTask(layout: Layout, id: string, { stack, revision, image }: Revision): void {
  const places = taskPlaces(layout, parseTaskId(id));
  createRecord(layout, places, {
    id: parseTaskId(id),
    owner: ownIdentity(),
    stack,
    revision,
    image,
    runtime: { kind: 'runc', path: '/usr/sbin/runc', version: '1.3.3' },
    bindCount: 0,
    command: ['true'],
    labels: {},
    createdAt: NOW.toISOString(),
    kept: true,
    disowned: false,
    names: namesOf(places),
  });
}
