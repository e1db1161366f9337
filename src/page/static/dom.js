// What every part of the page draws with: preact with its hooks, and its elements in htm's templates. Text in a
// template is text, never markup: names come from other people.

import htm from './lib/htm.js';
import { h } from './lib/preact.js';

export { useEffect, useLayoutEffect, useMemo, useRef, useState } from './lib/hooks.js';
export { render } from './lib/preact.js';

export const html = htm.bind(h);
