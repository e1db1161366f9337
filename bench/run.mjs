// Measures vswitchd side by side with its peers, in network namespaces of its own. Needs root.
//
//   npm run bench                     everything; writes bench/results/ and bench/README.md
//   npm run bench -- --quick          one short round, for a first impression; writes nothing
//   npm run bench -- --work tcp1,small --contestant vswitchd,ovs     some of it; writes nothing
//   npm run bench -- --core           micro benches of the Rust core; needs no root, writes nothing
//   npm run bench -- --control        the same of the control path in TypeScript
//   npm run bench -- --render FILE    writes bench/README.md anew from a file of results
import { parseArgs } from 'node:util';
import { SetupError } from '../tools/setup/child.mjs';
import { main, requireRoot, setup } from '../tools/setup.mjs';
import { measureCapturing } from './capturing.mjs';
import { contestants, reference } from './contestants/index.mjs';
import { removeDeadRuns } from './lab/lab.mjs';
import { measureControlPath } from './micro/control.mjs';
import { measureCore } from './micro/core.mjs';
import { Progress } from './progress.mjs';
import { provenance } from './provenance.mjs';
import { figuresOf } from './report/figures.mjs';
import { keep, readResults, render } from './report/files.mjs';
import { origin, tables } from './report/table.mjs';
import { setupBench } from './setup.mjs';
import { measurementsOf, sit } from './sitting.mjs';
import { underlays, works } from './works/index.mjs';

/** `seconds` of each measurement; the search for the lossless rate rises by `step` every `stepMillis`. */
const thorough = { rounds: 3, seconds: 2, step: 1.15, stepMillis: 200 };
const quick = { rounds: 1, seconds: 0.5, step: 1.3, stepMillis: 100 };
/** What a quick run takes unless it is told by name: of us, and by underlay where not every work. */
const quickOwn = ['vswitchd', 'vswitchd-ring', 'vswitchd-tunnel-gso', 'vswitchd-all'];
const quickWorks = { wire: ['tcp1', 'tcp4', 'small'], 'wire-gro': [] };
const busy = 0.5; // load per CPU

await main(async () => {
  const options = readArguments();
  if (options.render !== undefined) return render(readResults(options.render));
  if (options.core) {
    await setup('native');
    return measureCore();
  }
  if (options.control) {
    await setup('control');
    return measureControlPath();
  }
  requireRoot('The benchmark', 'run it with sudo.');
  await setupBench();
  await removeDeadRuns();
  if (options.capture)
    return (await untilSignalled((signal) => measureCapturing(options, signal))) ?? 130;
  const origins = await provenance();
  if (origins.load > busy * origins.cpus) {
    process.stderr.write(
      `  The machine is busy (load ${origins.load.toFixed(2)}): these figures will be poor.\n`,
    );
  }
  const results = await untilSignalled((signal) =>
    measure(plansOf(options), options, origins, signal),
  );
  if (results === undefined) return 130;
  console.log(`\n${tables(results)}\n\n${origin(results)}`);
  if (options.isWhole && !options.quick) {
    const path = keep(results);
    render(results);
    console.log(`\nKept in ${path}; bench/README.md shows it.`);
  }
  return results.failures.length === 0 ? 0 : 1;
});

function readArguments() {
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }];
  const options = {
    quick: flag,
    core: flag,
    control: flag,
    capture: flag,
    work: text,
    contestant: text,
    render: text,
  };
  try {
    const { values } = parseArgs({ options });
    const isWhole = values.work === undefined && values.contestant === undefined;
    return {
      quick: values.quick === true,
      core: values.core === true,
      control: values.control === true,
      capture: values.capture === true,
      render: values.render,
      works: chosen(works, values.work),
      contestants: chosen(contestants, values.contestant, [reference]),
      isWhole,
    };
  } catch (error) {
    throw new SetupError(
      `${error.message}\nusage: npm run bench -- [--quick] [--work NAME,...] [--contestant NAME,...] | --capture [--quick] | --core | --control | --render FILE`,
    );
  }
}

/** Those of the list that are named, or all; and those that are `always` there. */
function chosen(list, names, always = []) {
  if (names === undefined) return list;
  const wanted = [...names.split(','), ...always];
  const unknown = wanted.find((name) => !list.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = list.map(({ name }) => name).join(', ');
    throw new Error(`There is no "${unknown}"; there are: ${known}.`);
  }
  return list.filter(({ name }) => wanted.includes(name));
}

/** The plan of each sitting. */
function plansOf(options) {
  const present = options.contestants.filter(({ present }) => present());
  const isExcerpt = options.quick && options.isWhole;
  return underlays.map(({ name: underlay }) => ({
    underlay,
    contestants: present.filter(
      ({ name }) => !isExcerpt || !name.startsWith('vswitchd') || quickOwn.includes(name),
    ),
    pace: options.quick ? quick : thorough,
    works: options.works
      .filter((work) => work.underlays.includes(underlay))
      .filter(({ name }) => !isExcerpt || (quickWorks[underlay]?.includes(name) ?? true)),
  }));
}

/** What `work` gives, or undefined when a signal ended it; nothing is left either way. */
async function untilSignalled(work) {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(name, () => {
      if (!abort.signal.aborted) console.error(`\nEnded by ${name}, cleaning up.`);
      abort.abort();
    });
  }
  try {
    return await work(abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    return undefined;
  }
}

async function measure(plans, options, origins, signal) {
  const absent = options.contestants.filter(({ present }) => !present()).map(({ name }) => name);
  const results = { ...origins, settings: plans[0].pace, absent, failures: [], figures: [] };
  const total = plans.map(measurementsOf).reduce((sum, count) => sum + count, 0);
  const progress = new Progress(total);
  try {
    for (const plan of plans.filter(({ works }) => works.length > 0)) {
      const { values, failures } = await sit(plan, { signal, progress });
      results.figures.push(...figuresOf(plan.underlay, values));
      results.failures.push(...failures.map((each) => ({ underlay: plan.underlay, ...each })));
    }
  } finally {
    progress.close();
  }
  return results;
}
