/** The FDB of the real switch at moments before, rebuilt from what it told, against what it was then. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { viewFdbEntry } from '../../src/daemon/networkViews.js';
import { pastOf } from '../../src/daemon/past.js';
import type { FdbSpec, FdbTarget, NetworkSpec } from '../../src/datapath/seam.js';
import { eventually } from '../support/eventually.js';
import { FakeOverlay } from '../support/fakeOverlay.js';
import { ethernet } from '../support/frames.js';
import { Scope } from '../support/scope.js';
import { desired, network, OTHER_PEER, PEER, port, tunnel } from './desired.js';
import { datagram, MemorySwitch } from './memorySwitch.js';

const MACS = [1, 2, 3, 4, 5, 6].map((n) => `02:00:00:00:00:0${n}`);
const PEERS = [PEER, OTHER_PEER];

type Deed =
  | { readonly do: 'hear'; readonly mac: string; readonly at: string }
  | { readonly do: 'apply'; readonly net: NetworkSpec; readonly hasOther: boolean }
  | { readonly do: 'flush'; readonly port: string | undefined };

const mac = fc.constantFrom(...MACS);
const tunnelTo = (remote: string) => ({ remote, udpPort: 4789, vni: 256 });
const target: fc.Arbitrary<FdbTarget> = fc.constantFrom<FdbTarget>(
  { port: 'a' },
  { port: 'b' },
  { local: true },
  ...PEERS.map((remote) => ({ tunnel: tunnelTo(remote) })),
);
const entry: fc.Arbitrary<FdbSpec> = fc.record({
  mac,
  origin: fc.constantFrom('static' as const, 'control' as const),
  to: target,
});

/** Few may be learned, so that some go for others. */
const net = fc
  .record({
    ports: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
    peers: fc.subarray(PEERS),
    fdb: fc.uniqueArray(entry, { maxLength: 3, selector: (spec) => spec.mac }),
    evictOldest: fc.boolean(),
  })
  .map(({ ports, peers, fdb, evictOldest }) => {
    const isThere = ({ to }: FdbSpec) =>
      to.port === undefined
        ? to.tunnel === undefined || peers.includes(to.tunnel.remote)
        : ports.includes(to.port);
    return network('net', 256, {
      ports: ports.map((name) => port(name, { maxMacs: 2 })),
      tunnels: peers.map((remote) => tunnel(remote, 256)),
      ...{ fdb: fdb.filter(isThere), evictOldest, strictSource: false },
    });
  });

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      ...{ do: fc.constant('hear' as const), mac },
      at: fc.constantFrom('a', 'b', 'c', ...PEERS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('apply' as const), net, hasOther: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('flush' as const),
      port: fc.constantFrom('a', 'b', undefined),
    }),
  },
);

const other = network('other', 300, {
  ports: [port('x')],
  fdb: [{ mac: MACS[0] ?? '', origin: 'static', to: { port: 'x' } }],
});

async function take(made: MemorySwitch, deed: Deed, ports: readonly string[]): Promise<void> {
  if (deed.do === 'apply') {
    await made.apply(desired(deed.net, ...(deed.hasOther ? [other] : [])));
  } else if (deed.do === 'flush') {
    made.datapath.fdbFlush('net', deed.port);
  } else {
    const frame = ethernet(
      { src: deed.mac, dst: '02:00:00:00:00:ff', type: 0x88b5 },
      Buffer.alloc(46),
    );
    if (PEERS.includes(deed.at)) await made.arrive(datagram(frame, { from: deed.at }));
    else if (ports.includes(deed.at)) await made.enter(deed.at, frame);
  }
}

const looked = (made: MemorySwitch) =>
  made.datapath
    .fdb()
    .filter(({ active }) => active)
    .map((line) => ({ ...viewFdbEntry(line), idle: 0 }))
    .sort((a, b) => (`${a.network} ${a.mac}` < `${b.network} ${b.mac}` ? -1 : 1));

/** Until the clock has gone on, so that what comes is later than what was. */
async function laterThan(moment: number): Promise<void> {
  await eventually('a later millisecond', () => Date.now() > moment, { every: 1 });
}

it('every moment of the past is as it was', async () => {
  const fake = new FakeOverlay([
    { name: 'net', vni: 256 },
    { name: 'other', vni: 300 },
  ]);
  await fake.overlay.start();
  await fc.assert(
    fc.asyncProperty(net, fc.array(deed, { minLength: 5, maxLength: 25 }), async (first, deeds) => {
      const scope = new Scope();
      try {
        const made = await MemorySwitch.running(scope, desired(first));
        const past = pastOf({ datapath: made.datapath, overlay: fake.overlay });
        const seen: { at: number; entries: ReturnType<typeof looked> }[] = [];
        let ports = first.ports.map(({ name }) => name);
        for (const deed of deeds) {
          const moment = Date.now();
          seen.push({ at: moment, entries: looked(made) });
          await laterThan(moment);
          await take(made, deed, ports);
          if (deed.do === 'apply') ports = deed.net.ports.map(({ name }) => name);
        }
        for (const { at, entries } of seen) {
          const then = past.pastFdb({ at });
          // The VNI of a network that is no more is told by its settings, which stay here.
          expect(then).toEqual(entries);
        }
      } finally {
        await scope.close();
      }
    }),
    { numRuns: 25 },
  );
  await fake.overlay.stop();
}, 60_000);
