// Says what is being measured, what came of it and how long the rest takes: one line, on a terminal one that ticks.
const tickMillis = 200;

/** `total` measurements are to come; `stream` is where the lines go. */
export class Progress {
  #stream;
  #total;
  #began;
  #done = 0;
  #line = '';
  #ticker;

  constructor(total, stream = process.stderr) {
    this.#total = total;
    this.#stream = stream;
    if (stream.isTTY) this.#ticker = setInterval(() => this.#draw(), tickMillis);
  }

  /** Something that is no measurement. */
  says(text) {
    this.#line = text;
    if (this.#ticker === undefined) this.#stream.write(`  ${text}\n`);
  }

  /** A measurement begins. */
  begins(text) {
    this.#began ??= Date.now();
    this.#line = text;
  }

  /** It is over. */
  ends(outcome) {
    this.#done += 1;
    const [first] = outcome.split('\n');
    this.#erase();
    this.#stream.write(`  ${this.#line}  ${first}  (${this.#remaining()})\n`);
    this.#line = '';
  }

  /** Nothing more will be said. */
  close() {
    clearInterval(this.#ticker);
    this.#erase();
  }

  #remaining() {
    const each = (Date.now() - this.#began) / this.#done;
    const left = Math.max(0, this.#total - this.#done);
    return left === 0 ? 'the last' : `${left} more, about ${Math.ceil((left * each) / 1000)} s`;
  }

  #draw() {
    const text = `  ${this.#line} ...`;
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }

  #erase() {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
  }
}
