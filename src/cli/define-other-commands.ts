/** Every command but `run`. */
import type { Command } from 'commander';
import { defineExchangeCommands } from './define-exchange-commands.ts';
import { defineStackCommands } from './define-stack-commands.ts';
import { defineStorageCommands } from './define-storage-commands.ts';
import { defineTaskCommands } from './define-task-commands.ts';

export function defineOtherCommands(program: Command): void {
  defineStackCommands(program);
  defineExchangeCommands(program);
  defineTaskCommands(program);
  defineStorageCommands(program);
}
