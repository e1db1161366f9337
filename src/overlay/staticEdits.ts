// Edits of a network's peers and static FDB entries on this host.

import { SwitchError } from '../model/error.js';
import type { Mac } from '../model/mac.js';
import type { FdbStatic, Network, Peer } from '../model/network.js';
import { formatVtep } from '../model/vtep.js';
import { sameFdb, withFdb, withoutFdb, withoutPeer, withPeer } from '../store/runtimeState.js';
import type { Overlay } from './overlay.js';
import { peerKey } from './plan.js';

export class StaticEdits {
  readonly #overlay: Overlay;

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  addPeer(network: string, peer: Peer): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      const name = formatVtep(peer);
      const same = this.#sameTunnel(overlay.network(network), peer);
      if (overlay.network(network).peers.some(same)) throw new SwitchError('PEER_EXISTS', name);
      if (peer.address === overlay.base.vtep.address) throw new SwitchError('PEER_SELF', name);
      await overlay.add(
        `peer ${name} added to network ${network}`,
        withPeer(overlay.runtime, { network, peer }),
      );
    });
  }

  removePeer(network: string, peer: Peer): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      const name = formatVtep(peer);
      const same = this.#sameTunnel(overlay.network(network), peer);
      if (!overlay.network(network).peers.some(same))
        throw new SwitchError('PEER_UNKNOWN', `${name} in network ${network}`);
      const rows = overlay.runtime.peers.filter((row) => row.network === network && same(row.peer));
      if (rows.length === 0) throw new SwitchError('FROM_FILE', `peer ${name}`);
      await overlay.change(
        `peer ${name} removed from network ${network}`,
        rows.reduce(withoutPeer, overlay.runtime),
      );
    });
  }

  addFdb(network: string, entry: FdbStatic): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      if (overlay.network(network).fdb.some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FDB_EXISTS', `${entry.mac} of network ${network}`);
      }
      await overlay.add(
        `FDB entry ${entry.mac} added to network ${network}`,
        withFdb(overlay.runtime, { network, entry }),
      );
    });
  }

  /** Adds, or takes the place of the MAC's entry without a moment in which it is unknown. */
  replaceFdb(network: string, entry: FdbStatic): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      overlay.network(network);
      if (this.#fileFdb(network).some((item) => sameFdb(item, entry))) {
        throw new SwitchError('FROM_FILE', `FDB entry ${entry.mac}`);
      }
      await overlay.add(
        `FDB entry ${entry.mac} set in network ${network}`,
        withFdb(overlay.runtime, { network, entry }),
      );
    });
  }

  removeFdb(network: string, mac: Mac): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      overlay.network(network);
      const mine = overlay.runtime.fdb.some(
        (row) => row.network === network && row.entry.mac === mac,
      );
      if (!mine && this.#fileFdb(network).some((entry) => entry.mac === mac)) {
        throw new SwitchError('FROM_FILE', `FDB entry ${mac}`);
      }
      if (!mine) throw new SwitchError('FDB_UNKNOWN', `${mac} of network ${network}`);
      await overlay.change(
        `FDB entry ${mac} removed from network ${network}`,
        withoutFdb(overlay.runtime, network, mac),
      );
    });
  }

  #sameTunnel(network: Network, peer: Peer): (other: Peer) => boolean {
    const { vtep } = this.#overlay.base;
    const key = peerKey(peer, network, vtep);
    return (other) => peerKey(other, network, vtep) === key;
  }

  #fileFdb(network: string): readonly FdbStatic[] {
    return this.#overlay.file.find((item) => item.name === network)?.fdb ?? [];
  }
}
