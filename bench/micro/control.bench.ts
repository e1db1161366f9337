/** What a reload costs in TypeScript: from the text of the file to the desired state, by number of networks. */

import { bench, describe } from 'vitest';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/parse.js';
import { merge } from '../../src/overlay/merge.js';
import { plan } from '../../src/overlay/plan.js';
import { emptyState } from '../../src/store/runtimeState.js';

const PORTS = 4;
const PEERS = 4;
const byte = (n: number) => (n % 256).toString(16).padStart(2, '0');

/** A file of so many networks with `PORTS` ports and `PEERS` peers each. */
function fileOf(networks: number): string {
  const port = (n: number, p: number) => ({
    name: `n${n}p${p}`,
    netns: `n${n}p${p}`,
    mac: `02:00:${byte(n >> 8)}:${byte(n)}:00:${byte(p)}`,
    addresses: [`10.0.0.${p + 1}/24`],
  });
  return stringify({
    vtep: { address: '10.200.0.1' },
    networks: Array.from({ length: networks }, (_, n) => ({
      name: `n${n}`,
      vni: 256 + n,
      peers: Array.from({ length: PEERS }, (_, p) => `10.200.0.${p + 2}`),
      ports: Array.from({ length: PORTS }, (_, p) => port(n, p)),
    })),
  });
}

describe.each([1, 100, 1000])('%i networks', (count) => {
  const text = fileOf(count);
  const { vtep, datapath, networks } = parseConfig(text, 'bench').config;
  const intent = { vtep, datapath, owner: '/run/x.sock', networks, underlayMtu: 1500 };

  bench('parse', () => {
    parseConfig(text, 'bench');
  });
  bench('merge', () => {
    merge(vtep, networks, emptyState);
  });
  bench('plan', () => {
    plan(intent, new Set());
  });
});
