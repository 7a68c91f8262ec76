/** Finds the users of a further command and of the task's own command. */
import type { OciProcess } from '../../oci/oci-config.ts';
import { type ResolvedUser, resolveTaskUser } from '../../oci/resolve-user.ts';
import { openImageViews } from '../../store/diff/image-view.ts';
import { readImage } from '../../store/images/image.ts';
import type { Installation } from '../installation.ts';
import type { ExecTarget } from './find-exec-target.ts';

export type FoundUsers = ReturnType<typeof findExecUsers>;

/** Looks the users up in the image, which no task can change. `before` is the user of the task's own command. */
export function findExecUsers(
  { layout, system }: Installation,
  { record }: ExecTarget,
  { user, process }: { readonly user: string; readonly process: OciProcess },
): { readonly user: ResolvedUser; readonly before: ResolvedUser } {
  const views = openImageViews(system, layout);
  try {
    const root = views.image(readImage(layout, record.image));
    const find = (name: string) => resolveTaskUser(system, name, root);
    return { user: find(user), before: find(String(process.user.uid)) };
  } finally {
    views.close();
  }
}
