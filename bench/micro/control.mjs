// Micro benches of the control path, by benny: what a reload costs in TypeScript, from the text of the file to the
// desired state, by number of networks. Needs neither root nor the addon.
import { asText } from '../report/figures.mjs';
import { markdown } from '../report/markdown.mjs';

const ports = 4;
const peers = 4;
const counts = [1, 100, 1000];

/** Runs them and prints milliseconds per operation; returns an exit code. */
export async function measureControlPath() {
  // Not before the packages are installed and dist/ is built.
  const { default: benny } = await import('benny');
  const modules = await load();
  const rows = [];
  for (const count of counts) {
    const works = worksOn(count, modules);
    const cases = Object.entries(works).map(([name, work]) => benny.add(name, work));
    const { results } = await benny.suite(`${count} networks`, ...cases, benny.cycle());
    rows.push(...results.map((result) => row(count, result)));
  }
  console.log(`\n${markdown([['', 'ms', 'per second', '± %'], ...rows])}`);
  return 0;
}

async function load() {
  const [{ parseConfig }, { merge }, { plan }, { emptyState }, { stringify }] = await Promise.all([
    import('../../dist/config/parse.js'),
    import('../../dist/overlay/merge.js'),
    import('../../dist/overlay/plan.js'),
    import('../../dist/store/runtimeState.js'),
    import('yaml'),
  ]);
  return { parseConfig, merge, plan, emptyState, stringify };
}

/** By name, what is measured. */
function worksOn(count, { parseConfig, merge, plan, emptyState, stringify }) {
  const text = stringify(fileOf(count));
  const { vtep, datapath, networks } = parseConfig(text, 'bench').config;
  const intent = { vtep, datapath, owner: '/run/x.sock', networks, underlayMtu: 1500 };
  return {
    parse: () => {
      parseConfig(text, 'bench');
    },
    merge: () => {
      merge(vtep, { file: networks, shared: [], runtime: emptyState });
    },
    plan: () => {
      plan(intent, new Set());
    },
  };
}

/** A file of so many networks with `ports` ports and `peers` peers each. */
function fileOf(networks) {
  const port = (n, p) => ({
    name: `n${n}p${p}`,
    netns: `n${n}p${p}`,
    mac: `02:00:${byte(n >> 8)}:${byte(n)}:00:${byte(p)}`,
    addresses: [`10.0.0.${p + 1}/24`],
  });
  return {
    vtep: { address: '10.200.0.1' },
    networks: Array.from({ length: networks }, (_, n) => ({
      name: `n${n}`,
      vni: 256 + n,
      peers: Array.from({ length: peers }, (_, p) => `10.200.0.${p + 2}`),
      ports: Array.from({ length: ports }, (_, p) => port(n, p)),
    })),
  };
}

function row(count, { name, ops, details, margin }) {
  const milliseconds = details.median * 1000;
  return [`${name}, networks: ${count}`, asText(milliseconds), asText(ops), asText(margin)];
}

const byte = (n) => (n % 256).toString(16).padStart(2, '0');
