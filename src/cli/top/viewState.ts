// What the one who looks has chosen, and what his keys do to it.

export interface ViewState {
  readonly sort: Sort;
  /** Only this one; absent = all. */
  readonly network?: string | undefined;
  readonly paused: boolean;
}

export type Sort = (typeof SORTS)[number];

/** As `node:readline` tells keys. */
export interface Key {
  readonly name?: string | undefined;
  readonly ctrl?: boolean | undefined;
}

/** What is chosen after `key`; `undefined` = end. */
export function pressed(
  state: ViewState,
  key: Key,
  networks: readonly string[],
): ViewState | undefined {
  switch (key.name) {
    case 'q':
    case 'escape':
      return undefined;
    case 'c':
      // The terminal is raw: nobody else makes an interrupt of it.
      return key.ctrl ? undefined : state;
    case 's':
      return { ...state, sort: following(SORTS, state.sort) };
    case 'n': {
      const next = following(['', ...networks], state.network ?? '');
      return { ...state, network: next === '' ? undefined : next };
    }
    case 'p':
    case 'space':
      return { ...state, paused: !state.paused };
    default:
      return state;
  }
}

/** The one behind `item`, round and round. */
function following<T extends string>(items: readonly T[], item: T): T {
  return items[(items.indexOf(item) + 1) % items.length] ?? item;
}

const SORTS = ['in', 'out', 'drops', 'name'] as const;
