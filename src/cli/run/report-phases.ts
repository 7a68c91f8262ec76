/** `run --verbose`: reports on stderr when a task enters each phase, and what is known by then. Loaded only with that option. */
import type { TaskEvent } from '../../task/events.ts';
import type { Phase } from '../../task/phase-clock.ts';

const TIME_CELLS = 10;

/**
 * Begins now, with the first phase.
 *
 * @param tell Writes one line, without its line break.
 */
export function reportPhases(
  tell: (line: string) => void,
  now: () => number = () => performance.now(),
) {
  const since = now();
  const entered = new Set<Phase>();
  const tellAt = (text: string) => {
    const at = `${(now() - since).toFixed(1)} ms`.padStart(TIME_CELLS);
    tell(`stackshim: ${at}  ${text}`);
  };
  const onPhase = (phase: Phase) => {
    // Some phases alternate: report only the first entry. The last line has the sums.
    if (entered.has(phase)) return;
    entered.add(phase);
    tellAt(phase);
  };
  onPhase('resolve');
  return {
    onPhase,
    onEvent(event: TaskEvent) {
      const text = describe(event);
      if (text !== undefined) tellAt(text);
    },
  };
}

function describe(event: TaskEvent): string | undefined {
  switch (event.type) {
    case 'accepted':
      return `- task ${event.id} of ${event.stack}@rev:${event.revision}, image ${event.image}`;
    case 'building':
      return '- the build step runs';
    case 'built':
      return event.cached ? '- the build is in the cache' : '- the build step has ended';
    case 'created':
      return `- the container exists; its first process is ${event.pid}`;
    case 'started':
      return '- the command runs';
    case 'stopping':
      return `- it is stopped: ${event.cause}`;
    case 'exited':
      return `- it ended: ${event.signal ?? `exit code ${event.exitCode ?? 'unknown'}`}`;
    case 'exec':
      return `- ${event.exec.command[0] ?? 'a command'} was executed in it`;
    case 'removed':
      return event.removed ? '- everything is removed' : `- left: ${event.leftovers.join('; ')}`;
    case 'finished': {
      const { verdict, phasesMs } = event.result;
      const times = Object.entries(phasesMs).map(([phase, ms]) => `${phase} ${ms} ms`);
      return `${verdict}: ${times.join(', ')}`;
    }
    case 'output':
    case 'progress':
      return undefined;
  }
}
