// Answers that are asked for again and again, while somebody looks.

import { ask, withQuery } from './api.js';
import { useEffect, useState } from './dom.js';

/** An answer that took long is asked for more rarely: at most this part of the time is spent on it. */
const SHARE = 0.05;
/** Lines of history that are kept here. */
const LINES = 20_000;

/** What is known so far; `trouble` is why the last question had no answer, beside the last answer that there was. */
const NOTHING = { answer: undefined, trouble: undefined };

/** The newest answer of `path`, asked for every `seconds` or more; not at all while `path` is undefined. */
export function usePolled(path, seconds) {
  const [known, setKnown] = useState(NOTHING);
  useEffect(() => {
    setKnown(NOTHING);
    if (path === undefined) return undefined;
    return poll((_, signal) => ask(path, { signal }), seconds, setKnown);
  }, [path, seconds]);
  return known;
}

/**
 * What has happened, as `/v1/history` tells it about `query`, asked for every `seconds` or more: after the first
 * answer only what is new. `epoch` names the daemon's life: another one counts its lines anew.
 */
export function useHistory(query, seconds, epoch) {
  const [known, setKnown] = useState(NOTHING);
  useEffect(() => {
    setKnown(NOTHING);
    const question = async (before, signal) => {
      const path = withQuery('/v1/history', { ...query, from: before?.next });
      const answer = await ask(path, { signal });
      return { ...answer, lines: [...(before?.lines ?? []), ...answer.lines].slice(-LINES) };
    };
    return poll(question, seconds, setKnown);
  }, [withQuery('', query), seconds, epoch]);
  return known;
}

/**
 * Tells each answer and each trouble to `tell`, until the function that it returns is called. `question` gets the
 * answer before, and a signal that ends it.
 */
export function poll(question, seconds, tell) {
  const ending = new AbortController();
  const { signal } = ending;
  void (async () => {
    let known = NOTHING;
    while (!signal.aborted) {
      await shown(signal);
      const start = performance.now();
      try {
        known = { answer: await question(known.answer, signal), trouble: undefined };
      } catch (trouble) {
        known = { ...known, trouble };
      }
      if (signal.aborted) return;
      tell(known);
      const took = performance.now() - start;
      // From start to start it is a steady clock.
      await pause(Math.max(seconds * 1000 - took, took / SHARE, 0), signal);
    }
  })();
  return () => ending.abort();
}

/** Until the page can be seen: nobody is asked for what nobody looks at. */
function shown(signal) {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener('visibilitychange', () => resolve(), { once: true, signal });
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}
