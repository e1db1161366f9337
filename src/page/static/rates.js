// From counters to rates: differences of two answers by the clock that stands in them, smoothed.
// Nothing here knows the page or asks for the time.

/** Seconds over which a rate is smoothed: after as many, a step is seen to 63 %. */
const SMOOTHING = 3;
/** Rates of a thing that are kept for its small picture. */
const KEPT = 90;
const DROP = 'drop ';

/** Name of a port or tunnel in the book. */
export function portKey(network, name) {
  return `port ${network} ${name}`;
}

/** Name of a drop reason in the book. */
export function dropKey(reason) {
  return `${DROP}${reason}`;
}

/** Name of the worker of that index in the book. */
export function workerKey(index) {
  return `worker ${index}`;
}

/** What counts in one answer of `/v1/counters`: name in the book -> counters, all of which only grow. */
export function readings(counters) {
  const found = new Map();
  const places = [counters.underlay];
  for (const network of counters.networks) {
    places.push(network, network.retired, ...network.ports);
    for (const port of network.ports) {
      const { rx_bytes, tx_bytes, rx_frames, tx_frames } = port;
      const drops = port.drops.reduce((sum, { frames }) => sum + frames, 0);
      found.set(portKey(network.name, port.name), {
        rx_bytes,
        tx_bytes,
        rx_frames,
        tx_frames,
        drops,
      });
    }
  }
  for (const { reason, frames } of places.flatMap(({ drops }) => drops)) {
    const key = dropKey(reason);
    found.set(key, { frames: frames + (found.get(key)?.frames ?? 0) });
  }
  for (const [index, { busy_us, rx_frames, tx_frames }] of counters.workers.entries()) {
    found.set(workerKey(index), { busy_us, rx_frames, tx_frames });
  }
  return found;
}

/** Rates per second of everything that counts, of this moment and of the last minute and a half. */
export class RateBook {
  #entries = new Map();
  #at;
  #since;
  #isPaired = false;

  /**
   * Takes an answer of `/v1/counters`; true when it says something new. What was not in the answer before had counted
   * nothing then. A daemon that was started anew begins anew.
   */
  take(counters) {
    const at = Date.parse(counters.at) / 1000;
    const isSame = counters.started_at === this.#since;
    if (isSame && at <= this.#at) return false;
    const before = isSame ? this.#entries : new Map();
    const passed = isSame ? at - this.#at : undefined;
    this.#entries = new Map();
    for (const [key, counts] of readings(counters)) {
      this.#entries.set(key, nextEntry(before.get(key), counts, passed));
    }
    this.#isPaired = isSame;
    this.#at = at;
    this.#since = counters.started_at;
    return true;
  }

  /** Unix seconds of the last answer. */
  get at() {
    return this.#at;
  }

  /** Smoothed rates of a thing by the names of its counters; undefined until there were two answers. */
  of(key) {
    return this.#entries.get(key)?.rates;
  }

  /** Frames per second dropped between the last two answers, by reason, without smoothing; undefined until there were two. */
  dropRates() {
    if (!this.#isPaired) return undefined;
    const drops = [...this.#entries].filter(([key]) => key.startsWith(DROP));
    return new Map(drops.map(([key, { latest }]) => [key.slice(DROP.length), latest.frames]));
  }

  /** Its smoothed rates so far, oldest first. */
  past(key) {
    return this.#entries.get(key)?.past ?? [];
  }
}

function nextEntry(before, counts, passed) {
  if (passed === undefined) return { counts, past: [] };
  const latest = mapped(counts, (count, name) => {
    const old = before?.counts[name] ?? 0;
    // Less than before: it was taken away and made anew, and counts from zero.
    return (count < old ? count : count - old) / passed;
  });
  const weight = before?.rates === undefined ? 1 : 1 - Math.exp(-passed / SMOOTHING);
  const rates = mapped(latest, (rate, name) => {
    const old = before?.rates?.[name] ?? 0;
    return old + weight * (rate - old);
  });
  return { counts, latest, rates, past: [...(before?.past ?? []), rates].slice(-KEPT) };
}

function mapped(record, change) {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, change(value, name)]),
  );
}

/** Drops per second of each reason over time, as a chart wants them: one clock, a row for each reason. */
export class DropTimeline {
  /** Unix seconds. */
  times = [];
  /** Reason -> as many values as there are times. */
  rows = new Map();
  #most;

  /** Keeps the last `most` moments. */
  constructor(most) {
    this.#most = most;
  }

  /** Adds a moment: `rates` is reason -> frames per second; a reason that is not there dropped nothing. */
  add(at, rates) {
    this.times = [...this.times, at].slice(-this.#most);
    const length = this.times.length;
    for (const reason of new Set([...this.rows.keys(), ...rates.keys()])) {
      const row = this.rows.get(reason) ?? new Array(length - 1).fill(0);
      this.rows.set(reason, [...row, rates.get(reason) ?? 0].slice(-length));
    }
  }
}
