/** Lines at the bottom of a terminal that log-update redraws while work goes on. The cursor is hidden meanwhile. */
import type { createLogUpdate } from 'log-update';
import type { ProgressStream } from '../print/terminal.ts';

/** Makes a line of at most that many cells. */
type LineMaker = (cells: number) => string;

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const FRAME_MS = 50;
const DEFAULT_COLUMNS = 80;

type Drawing = ReturnType<typeof createLogUpdate>;

export function openProgressLines(stream: ProgressStream) {
  const lines = new Map<string, LineMaker>();
  const cursor = createCursor(stream);
  let drawing: Drawing | undefined;
  let loading = false;
  let timer: NodeJS.Timeout | undefined;
  let drawnAt = 0;

  const draw = () => {
    clearTimeout(timer);
    timer = undefined;
    if (drawing === undefined || lines.size === 0) return;
    drawnAt = Date.now();
    cursor.hide();
    // Leave one cell free: some terminals wrap a line that fills them.
    const cells = columnsOf(stream) - 1;
    drawing([...lines.values()].map((toLine) => toLine(cells)).join('\n'));
  };
  const drawSoon = () => {
    if (drawing === undefined) return void load();
    if (timer !== undefined) return;
    const waitMs = FRAME_MS - (Date.now() - drawnAt);
    if (waitMs <= 0) draw();
    else timer = setTimeout(draw, waitMs).unref();
  };
  const load = async () => {
    if (loading) return;
    loading = true;
    const loaded = await import('log-update');
    drawing = loaded.createLogUpdate(toWritable(stream), { showCursor: true });
    draw();
  };
  return {
    /** Draws the line of `key`, at its existing place if it has one. */
    set(key: string, line: LineMaker) {
      lines.set(key, line);
      drawSoon();
    },
    drop(key: string) {
      if (lines.delete(key) && lines.size === 0) drawing?.clear();
      else drawSoon();
    },
    /** Prints a permanent line above the others. */
    keep(text: string) {
      drawing?.clear();
      stream.write(`${text}\n`);
      draw();
    },
    /** Removes all lines and shows the cursor; lines may be set again. A second call does nothing. */
    clear() {
      clearTimeout(timer);
      timer = undefined;
      lines.clear();
      drawing?.clear();
      cursor.show();
    },
  };
}

/** A serial line, or a terminal that a program made, may report an unknown width as 0. */
const columnsOf = (stream: ProgressStream) => stream.columns || DEFAULT_COLUMNS;

/** log-update uses no other members of a stream than {@link ProgressStream} has. */
const toWritable = (stream: ProgressStream) =>
  ({
    isTTY: true,
    get columns() {
      return columnsOf(stream);
    },
    get rows() {
      return stream.rows;
    },
    write: (text: string) => stream.write(text),
  }) as unknown as NodeJS.WritableStream;

/** Hides the cursor, and shows it again at the latest when the process exits. */
function createCursor(stream: ProgressStream) {
  let isHidden = false;
  const show = () => {
    if (!isHidden) return;
    isHidden = false;
    process.off('exit', show);
    stream.write(SHOW_CURSOR);
  };
  return {
    show,
    hide() {
      if (isHidden) return;
      isHidden = true;
      process.on('exit', show);
      stream.write(HIDE_CURSOR);
    },
  };
}
