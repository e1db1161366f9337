/**
 * What a test makes, it takes away again: an undo list, run in reverse order, also after a failure.
 */

interface Undo {
  readonly what: string;
  readonly undo: () => unknown;
}

/** open -> closed, no way back. Whoever makes something passes its removal to `defer` at once. */
export class Scope {
  readonly #undos: Undo[] = [];
  #closed = false;

  /**
   * `undo` runs when the scope closes, after everything that was deferred later. On a closed scope (a
   * set-up that outlived its test) it runs now and this throws, so that nothing is left behind.
   */
  async defer(what: string, undo: () => unknown): Promise<void> {
    if (this.#closed) {
      await undo();
      throw new Error(`${what} was made after its scope had closed`);
    }
    this.#undos.push({ what, undo });
  }

  /** Undoes everything; goes on after a failing undo and throws all failures together at the end. */
  async close(): Promise<void> {
    this.#closed = true;
    const failures: Error[] = [];
    for (let next = this.#undos.pop(); next !== undefined; next = this.#undos.pop()) {
      try {
        await next.undo();
      } catch (cause) {
        failures.push(new Error(`${next.what}: ${String(cause)}`, { cause }));
      }
    }
    if (failures.length > 0) {
      throw new AggregateError(failures, failures.map((f) => f.message).join('\n'));
    }
  }
}
