// One sitting: all contestants alive side by side, measured in turns.
import { begin, reference } from './contestants/index.mjs';
import { Lab } from './lab/lab.mjs';

/**
 * Measures on one underlay. `plan` is `{ underlay, contestants, works, pace }`; `pace` says `rounds` and how long each
 * measurement takes. `progress` is told of each step. Returns `{ values, failures }`:
 *
 *   values    [{ work, figure, contestant, values }], a value per round, null where it failed
 *   failures  [{ what, contestant, reason }]
 *
 * Neighbours in time are compared: within a round each work is done by all contestants one after the other, and
 * each round begins with another one. A measurement that fails costs its values, a contestant that does not start
 * takes no part, unless it is the reference: then this throws. Whatever happens, everything that it made is removed.
 */
export async function sit(plan, { signal, progress }) {
  const lab = new Lab(signal);
  const failures = [];
  try {
    const sites = [];
    for (const contestant of plan.contestants) {
      progress.says(`${plan.underlay}: starting ${contestant.name}`);
      const { result, reason } = await attempt(lab, () => begin(lab, contestant, plan.underlay));
      if (reason === undefined) sites.push({ contestant, site: result });
      else if (contestant.name === reference) throw new Error(reason);
      else failures.push({ what: 'start', contestant: contestant.name, reason });
    }
    const values = await measureInTurns(lab, sites, { ...plan, failures, progress });
    return { values, failures };
  } finally {
    progress.says(`${plan.underlay}: cleaning up`);
    await lab.close();
  }
}

async function measureInTurns(lab, sites, { underlay, works, pace, failures, progress }) {
  const series = new Map();
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const work of works) {
      for (const { contestant, site } of turned(sites, round)) {
        if (!takesPart(contestant, work, underlay) || !work.possible(site)) continue;
        const what = `round ${round + 1} ${work.name}`;
        progress.begins(`${underlay} ${what} ${contestant.name}`);
        const { result, reason } = await attempt(lab, () => work.measure(lab, site, pace));
        progress.ends(reason ?? headline(work, result));
        if (reason !== undefined) failures.push({ what, contestant: contestant.name, reason });
        record(series, { work, contestant, numbers: result });
      }
    }
  }
  return [...series.values()];
}

/** How many measurements a sitting takes at most; `possible` may leave some out. */
export function measurementsOf({ underlay, contestants, works, pace }) {
  const perRound = works.flatMap((work) =>
    contestants.filter((each) => takesPart(each, work, underlay)),
  );
  return pace.rounds * perRound.length;
}

function takesPart({ variant, works }, work, underlay) {
  if (variant) return work.variants.includes(underlay);
  return works === undefined || works.includes(work.name);
}

async function attempt(lab, work) {
  try {
    return { result: await work() };
  } catch (error) {
    lab.signal.throwIfAborted();
    return { reason: error.message.trim() };
  }
}

function turned(list, by) {
  const start = by % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}

function record(series, { work, contestant, numbers }) {
  for (const figure of Object.keys(work.figures)) {
    const key = `${work.name} ${figure} ${contestant.name}`;
    if (!series.has(key)) {
      series.set(key, { work: work.name, figure, contestant: contestant.name, values: [] });
    }
    const value = numbers?.[figure];
    series.get(key).values.push(Number.isFinite(value) ? value : null);
  }
}

function headline(work, numbers) {
  const [[figure, { title }]] = Object.entries(work.figures);
  return `${numbers[figure].toPrecision(4)} ${title}`;
}
