// A terminal that one program has for itself: the other screen, keys one by one, everything as it was afterwards.

import { emitKeypressEvents, type Key } from 'node:readline';
import type { InputStream, OutputStream } from '../context.js';
import type { Size } from './picture.js';

/** open -> closed. */
export class Screen {
  readonly #out: OutputStream;
  readonly #in: InputStream;
  readonly #onKey: (text: string | undefined, key: Key) => void;
  readonly #onResize: () => void;
  readonly #onExit = () => this.close();
  #isOpen = true;

  /** Takes the terminal; `close` gives it back, and so does the end of the process. */
  constructor(
    { out, in: input }: { readonly out: OutputStream; readonly in: InputStream },
    { key, resize }: { readonly key: (key: Key) => void; readonly resize: () => void },
  ) {
    this.#out = out;
    this.#in = input;
    this.#onKey = (_, pressed) => key(pressed);
    this.#onResize = resize;
    process.once('exit', this.#onExit);
    emitKeypressEvents(input);
    input.setRawMode?.(true);
    input.on('keypress', this.#onKey);
    input.resume();
    out.on('resize', this.#onResize);
    out.write(`${OTHER_SCREEN}${HIDE_CURSOR}`);
  }

  get size(): Size {
    // Terminals that do not tell are taken for the smallest that there are.
    return { columns: this.#out.columns || 80, rows: this.#out.rows || 24 };
  }

  /** In one write, over what is there: nothing flickers. Left out while the terminal still takes an earlier one. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen || this.#out.writableNeedDrain) return;
    const drawn = lines.map((line) => `${line}${ERASE_REST_OF_LINE}`).join('\r\n');
    this.#out.write(`${HOME}${drawn}${ERASE_BELOW}`);
  }

  /** Any number of times. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#onExit);
    this.#in.off('keypress', this.#onKey);
    this.#out.off('resize', this.#onResize);
    this.#in.setRawMode?.(false);
    this.#in.pause();
    this.#out.write(`${SHOW_CURSOR}${FIRST_SCREEN}`);
  }
}

/** ECMA-48, and the private modes of xterm. */
const HOME = '\u001b[H';
const ERASE_BELOW = '\u001b[J';
const ERASE_REST_OF_LINE = '\u001b[K';
const OTHER_SCREEN = '\u001b[?1049h';
const FIRST_SCREEN = '\u001b[?1049l';
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
