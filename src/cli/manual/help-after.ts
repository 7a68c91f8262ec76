/** Finds the text that a command adds to its help. */
import type { Command } from 'commander';

/** Empty if it adds none. */
export function helpAfter(command: Command): string {
  const written: string[] = [];
  const { writeOut } = command.configureOutput();
  command.configureOutput({ writeOut: (text) => void written.push(text) });
  try {
    command.outputHelp();
  } finally {
    if (writeOut !== undefined) command.configureOutput({ writeOut });
  }
  return written.join('').slice(command.helpInformation().length).trim();
}
