// The API as the page asks it: same origin, read-only, JSON.

/** Most milliseconds that an answer may take. */
const PATIENCE = 10_000;

/** The daemon answered, and refuses. Its message is the API's sentence. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = 'Refused';
    this.status = status;
  }
}

/** Nobody answered, or nobody who speaks our API. */
export class Away extends Error {
  constructor(cause) {
    super('vswitchd does not answer', { cause });
    this.name = 'Away';
  }
}

/** Asks, and answers with the value. Throws `Refused` and `Away`; the reason of `signal` when that ends it. */
export async function ask(path, { body, signal } = {}) {
  const response = await fetched(path, {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
    signal: either(signal, AbortSignal.timeout(PATIENCE)),
  });
  if (!response.ok) throw await refusalOf(response);
  try {
    return await response.json();
  } catch (error) {
    signal?.throwIfAborted();
    throw new Away(error);
  }
}

/**
 * Whether this download would be refused, which the browser's own download tells nobody: undefined, or why. It is
 * begun, and let go of as soon as the answer begins.
 */
export async function refusalOfDownload(path) {
  const ours = new AbortController();
  try {
    const response = await fetched(path, {
      signal: either(ours.signal, AbortSignal.timeout(PATIENCE)),
    });
    return response.ok ? undefined : await refusalOf(response);
  } catch (error) {
    return error;
  } finally {
    ours.abort();
  }
}

/** A path with those of `query` that say something. */
export function withQuery(path, query) {
  const said = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const text = new URLSearchParams(said).toString();
  return text === '' ? path : `${path}?${text}`;
}

async function fetched(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal.aborted && options.signal.reason?.name !== 'TimeoutError') throw error;
    throw new Away(error);
  }
}

async function refusalOf(response) {
  const body = await response.json().catch(() => undefined);
  return new Refused(response.status, body?.message ?? `the answer is ${response.status}`);
}

function either(...signals) {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}
