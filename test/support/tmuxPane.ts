/** A terminal of one's own, that tests can type into and look at: a pane of a tmux server in a namespace. */

import { join } from 'node:path';
import { type Namespace, temporaryDirectory } from './netns.js';
import type { Scope } from './scope.js';

export interface TmuxSpec {
  readonly columns: number;
  readonly rows: number;
  /** A shell's command line; a shell goes on when it has ended. */
  readonly command: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Lives until the scope closes. */
export class TmuxPane {
  readonly #namespace: Namespace;
  readonly #socket: string;

  private constructor(namespace: Namespace, socket: string) {
    this.#namespace = namespace;
    this.#socket = socket;
  }

  static async open(scope: Scope, namespace: Namespace, spec: TmuxSpec): Promise<TmuxPane> {
    const socket = join(await temporaryDirectory(scope, 'tmux'), 'socket');
    const pane = new TmuxPane(namespace, socket);
    const size = ['-x', String(spec.columns), '-y', String(spec.rows)];
    await pane.#tmux(['-f', '/dev/null'], ['new-session', '-d', ...size, 'sh'], spec.env);
    await scope.defer('tmux', () => pane.#tmux([], ['kill-server']));
    await pane.type(spec.command, 'Enter');
    return pane;
  }

  /** Keys as tmux names them: `q`, `Enter`, `C-c`; longer ones that are no key's name are typed letter by letter. */
  async type(...keys: readonly string[]): Promise<void> {
    await this.#tmux([], ['send-keys', '-t', ':', ...keys]);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux([], ['resize-window', '-t', ':', '-x', `${columns}`, '-y', `${rows}`]);
  }

  /** What stands there, line by line, without what is empty below. */
  async text(): Promise<string> {
    const shown = await this.#tmux([], ['capture-pane', '-p', '-t', ':']);
    return shown.trimEnd();
  }

  /** A format as in tmux(1), such as `#{alternate_on}`. */
  async property(format: string): Promise<string> {
    return (await this.#tmux([], ['display-message', '-p', '-t', ':', format])).trim();
  }

  async #tmux(
    options: readonly string[],
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const argv = ['-S', this.#socket, ...options, ...command];
    return await this.#namespace.exec('tmux', argv, { env: { LC_ALL: 'C.UTF-8', ...env } });
  }
}
