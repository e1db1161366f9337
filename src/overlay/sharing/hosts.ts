// Decisions about other hosts.

import { SwitchError } from '../../model/error.js';
import { keys } from '../../store/records.js';
import { freeing } from './addresses.js';
import type { View } from './mirror.js';
import type { Decide } from './transactor.js';
import { pack, type Unit } from './unit.js';

/**
 * Forgets a host that will not come back: its endpoints, their addresses, its memberships. Gives
 * whether there is more to forget. Throws HOST_UNKNOWN, HOST_ALIVE.
 */
export function forget(vtep: string): Decide<boolean> {
  let hasBegun = false;
  return (view) => {
    const host = view.state.hosts.get(vtep);
    if (view.isLive(vtep)) throw new SwitchError('HOST_ALIVE', vtep);
    if (host === undefined && !hasBegun) throw new SwitchError('HOST_UNKNOWN', vtep);
    hasBegun = true;
    const isStillLost = { key: keys.host(vtep), absent: true } as const;
    const transaction = pack(
      remains(view, vtep).map(({ conditions, writes }) => ({
        conditions: [isStillLost, ...conditions],
        writes,
      })),
    );
    return { ...(transaction && { transaction }), result: transaction !== undefined };
  };
}

/** Removals of everything that a host has in the store apart from its own record. */
export function remains(view: View, vtep: string): Unit[] {
  const { endpoints, members, addresses } = view.state;
  const removal = (key: string): Unit[] =>
    view.text(key) === undefined
      ? []
      : [{ conditions: [view.unchanged(key)], writes: [{ key, remove: true }] }];
  return [
    ...[...endpoints].flatMap(([network, records]) =>
      [...records]
        .filter(([, { host }]) => host === vtep)
        .flatMap(([id]) => removal(keys.endpoint(network, id))),
    ),
    ...[...members.keys()].flatMap((network) => removal(keys.member(network, vtep))),
    ...[...addresses].flatMap(([network, records]) =>
      [...records.keys()].flatMap((ip) => freeing(view, network, ip, vtep) ?? []),
    ),
  ];
}
