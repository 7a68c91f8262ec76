/** What both directions of a copy need. */
import type { Budget } from '../outputs/budget.ts';
import type { ContentReader } from '../outputs/content.ts';
import type { Pace } from '../outputs/pace.ts';
import type { CopyOrder } from './copy-order.ts';
import type { TaskTree } from './task-tree.ts';

export interface CopyWork {
  readonly order: CopyOrder;
  readonly tree: TaskTree;
  readonly budget: Budget;
  readonly pace: Pace;
  readonly content: ContentReader;
}
