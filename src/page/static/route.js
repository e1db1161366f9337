// Which view is shown and what is searched for stands in the address: it can be linked to, and going back works.

import { useEffect, useState } from './dom.js';

/** `#/fdb?q=c1` -> view `fdb`, query {q: 'c1'}. */
export function parseRoute(hash) {
  const [, view = '', query = ''] = /^#\/([a-z]*)(?:\?(.*))?$/.exec(hash) ?? [];
  return { view, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function routeTo(view, query = {}) {
  const said = Object.entries(query).filter(([, value]) => value !== '');
  const text = new URLSearchParams(said).toString();
  return `#/${view}${text === '' ? '' : `?${text}`}`;
}

export function useRoute() {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}

/** Changes the query without a step in the browser's history: somebody types. */
export function retouch(view, query) {
  history.replaceState(null, '', routeTo(view, query));
  dispatchEvent(new HashChangeEvent('hashchange'));
}
