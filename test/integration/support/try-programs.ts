/** What each way to start a program does with streams, time limits and child processes, on the engine that runs this. */
import { runProgram } from '../../../src/sys/run-program.ts';
import { askTool, startTool } from '../../../src/sys/start-tool.ts';

const CHUNK = Buffer.alloc(60_000, 'x');
const CHUNKS = 80;
const TOO_LATE = 'exec sleep 600';

const shell = (script: string) => ({ path: '/bin/sh', args: ['-c', script], env: {} });
const tool = (script: string) => ({ command: ['/bin/sh', '-c', script], maxBytes: 1_000 });

async function* chunks(count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index += 1) {
    await Promise.resolve();
    yield CHUNK;
  }
}

async function* brokenInput(): AsyncGenerator<Buffer> {
  yield* chunks(1);
  throw new RangeError('no more of it');
}

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: Error) => error.message,
  );

export async function tryPrograms() {
  return {
    run: {
      readsAll: await runProgram({ ...shell('wc -c'), keeps: 'stdout', input: chunks(CHUNKS) }),
      readsLittle: await runProgram({ ...shell('head -c 9'), keeps: 'stdout', input: chunks(1e9) }),
      inputFails: await messageOf(runProgram({ ...shell(TOO_LATE), input: brokenInput() })),
      tooLate: await runProgram({ ...shell(`sleep 600 & ${TOO_LATE}`), timeoutMs: 50 }),
      aborted: await runProgram({ ...shell(TOO_LATE), signal: AbortSignal.abort() }),
      there: await runProgram({ ...shell('pwd'), keeps: 'stdout', cwd: '/usr' }),
      isMissing: await messageOf(runProgram({ ...shell(''), path: '/none' })),
      says: await words('seq 1 90000 >&2; exit 3'),
    },
    ask: {
      prints: await ask('echo "$PATH $0"; pwd; echo aside >&2'),
      prompts: await ask('cat; echo end'),
      tooMuch: await ask('yes'),
      tooLate: await ask(`sleep 600 & ${TOO_LATE}`, { timeoutMs: 50 }),
      aborted: await ask(TOO_LATE, { signal: AbortSignal.abort() }),
      fails: await ask('echo first >&2; echo last >&2; exit 4'),
      isKilled: await ask('kill -KILL $$'),
      leavesOne: await ask('sleep 600 & echo done'),
      isMissing: await messageOf(askTool({ command: ['/none'], maxBytes: 1 })),
    },
    filtered: await filter(),
  };
}

async function words(script: string) {
  const { output, exitCode } = await runProgram(shell(script));
  const lines = output.trim().split('\n');
  return { exitCode, first: lines[0], last: lines.at(-1), isCut: output.length < 20_000 };
}

async function ask(script: string, bounds: { timeoutMs?: number; signal?: AbortSignal } = {}) {
  const { stdout, stderr, failure, exitCode } = await askTool({ ...tool(script), ...bounds });
  return { printed: stdout.toString().slice(0, 200), stderr, failure, exitCode };
}

/** Sends bytes through a filter whose output is read late. */
async function filter(): Promise<number> {
  const cat = await startTool({ command: ['/bin/cat'] });
  for await (const chunk of chunks(1)) cat.stdin.write(chunk);
  cat.stdin.end();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  let bytes = 0;
  for await (const chunk of cat.stdout) bytes += chunk.length;
  await cat.exited;
  return bytes;
}
