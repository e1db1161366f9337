// Where frames were dropped, as `drops --by` sorts them. Pure.

import type { CountersView, DropView } from '../control/client.js';
import { parseTunnel } from '../model/vtep.js';

export const DROP_ORDERS = ['network', 'port', 'vtep', 'worker'] as const;
export type DropOrder = (typeof DROP_ORDERS)[number];

/** One reason at one place. Which of the first four are there depends on the order. */
export interface PlacedDrop extends DropView {
  readonly network?: string | undefined;
  /** Of a port or tunnel; `removed` stands for all that are no more. */
  readonly port?: string | undefined;
  readonly vtep?: string | undefined;
  readonly worker?: number | undefined;
}

type Place = Omit<PlacedDrop, keyof DropView>;
type Counted = readonly (Place & { readonly drops: readonly DropView[] })[];

/**
 * The drops of all networks or of one. By network and by port they are all of them: what was dropped before
 * a network was known has none, what reached no port of its network has no port. By VTEP they are those of
 * its tunnels.
 */
export function placedDrops(
  counters: CountersView,
  order: DropOrder,
  network?: string,
): PlacedDrop[] {
  const placed = ORDERS[order](counters).filter(
    (place) => network === undefined || place.network === network,
  );
  const sums = new Map<string, PlacedDrop>();
  for (const { drops, ...counted } of placed) {
    // A VTEP is one, in however many networks.
    const place: Place = order === 'vtep' ? { vtep: counted.vtep } : counted;
    for (const drop of drops.filter(({ frames }) => frames > 0)) {
      const key = JSON.stringify([place, drop.reason]);
      const frames = (sums.get(key)?.frames ?? 0) + drop.frames;
      sums.set(key, { ...place, ...drop, frames });
    }
  }
  return [...sums.values()];
}

const ORDERS: Readonly<Record<DropOrder, (counters: CountersView) => Counted>> = {
  network: (counters) => byPort(counters).map(({ port: _, ...place }) => place),
  port: byPort,
  vtep: ({ networks }) =>
    networks.flatMap(({ name: network, vni, ports }) =>
      ports.flatMap(({ name, kind, drops }) => {
        const vtep = kind === 'tunnel' ? parseTunnel(name, vni)?.address : undefined;
        return vtep === undefined ? [] : [{ network, vtep, drops }];
      }),
    ),
  worker: ({ workers }) => workers.map(({ drops }, worker) => ({ worker, drops })),
};

function byPort({ underlay, networks }: CountersView): Counted {
  return [
    { drops: underlay.drops },
    ...networks.flatMap(({ name: network, ports, retired, drops }) => [
      { network, drops },
      ...ports.map((port) => ({ network, port: port.name, drops: port.drops })),
      { network, port: 'removed', drops: retired.drops },
    ]),
  ];
}
