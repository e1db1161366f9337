// One sitting: all contestants alive side by side, measured in turns.
import { begin } from './contestants/index.mjs';
import { Lab } from './lab/lab.mjs';

/**
 * Measures on one underlay. `plan` is `{ underlay, contestants, works, pace }`; `pace` says `rounds` and how long each
 * measurement takes. `progress` is told of each step. Returns `{ values, failures }`:
 *
 *   values    [{ work, figure, contestant, values }], a value per round, null where it failed
 *   failures  [{ work, contestant, round, reason }]
 *
 * Neighbours in time are compared: within a round each work is done by all contestants one after the other, and
 * each round begins with another one. A measurement that fails costs its values, a contestant that does not start
 * ends the sitting. Whatever happens, everything that it made is removed.
 */
export async function sit(plan, { signal, progress }) {
  const lab = new Lab(signal);
  try {
    const sites = [];
    for (const contestant of plan.contestants) {
      progress.says(`${plan.underlay}: starting ${contestant.name}`);
      sites.push({ contestant, site: await begin(lab, contestant, plan.underlay) });
    }
    return await measureInTurns(lab, sites, plan, progress);
  } finally {
    progress.says(`${plan.underlay}: cleaning up`);
    await lab.close();
  }
}

async function measureInTurns(lab, sites, { underlay, works, pace }, progress) {
  const series = new Map();
  const failures = [];
  for (let round = 0; round < pace.rounds; round += 1) {
    for (const work of works) {
      for (const { contestant, site } of turned(sites, round)) {
        if (!takesPart(contestant, work) || !work.possible(site)) continue;
        const what = `${underlay} ${work.name} ${contestant.name}`;
        progress.begins(`round ${round + 1}/${pace.rounds} ${what}`);
        const outcome = await attempt(lab, () => work.measure(lab, site, pace));
        progress.ends(outcome.reason ?? headline(work, outcome.numbers));
        if (outcome.reason !== undefined) {
          failures.push({ work: work.name, contestant: contestant.name, round, ...outcome });
        }
        record(series, { work, contestant, numbers: outcome.numbers });
      }
    }
  }
  return { values: [...series.values()], failures };
}

/** How many measurements a sitting takes at most; `possible` may leave some out. */
export function measurementsOf({ contestants, works, pace }) {
  const perRound = works.flatMap((work) => contestants.filter((each) => takesPart(each, work)));
  return pace.rounds * perRound.length;
}

/** Variants take part in some works only. */
export function takesPart(contestant, work) {
  return !contestant.variant || work.variants;
}

async function attempt(lab, measure) {
  try {
    return { numbers: await measure() };
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
