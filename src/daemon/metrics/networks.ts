// Metrics of networks and of the underlay below them.

import type { NetworkCountersView } from '../../control/views.js';
import type { Metric, NetworkReading, Sample } from './metric.js';
import { single } from './metric.js';

const NETWORK = ['network', 'vni'];

function labelsOf({ name, vni }: NetworkCountersView) {
  return { network: name, vni: String(vni) };
}

function ofNetworks(
  value: (network: NetworkCountersView) => number,
): Pick<Metric, 'labels' | 'read'> {
  return {
    labels: NETWORK,
    read: ({ counters }) =>
      counters.networks.map((network) => ({ labels: labelsOf(network), value: value(network) })),
  };
}

/** With what was counted at ports that are no more. */
function sumOf(key: 'rx_frames' | 'tx_frames'): Pick<Metric, 'labels' | 'read'> {
  return ofNetworks(({ ports, retired }) =>
    ports.reduce((sum, port) => sum + port[key], retired[key]),
  );
}

function entriesOf(network: NetworkCountersView, known: NetworkReading | undefined): Sample[] {
  const counts = {
    learned: network.fdb.macs,
    static: known?.staticMacs ?? 0,
    control: known?.controlMacs ?? 0,
  };
  return Object.entries(counts).map(([origin, value]) => ({
    labels: { ...labelsOf(network), origin },
    value,
  }));
}

export const networkMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_network_receive_frames_total',
    type: 'counter',
    help: 'Frames that entered the network, at its ports and tunnels.',
    ...sumOf('rx_frames'),
  },
  {
    name: 'vswitchd_network_transmit_frames_total',
    type: 'counter',
    help: 'Frames that left the network, at its ports and tunnels.',
    ...sumOf('tx_frames'),
  },
  {
    name: 'vswitchd_network_unicast_frames_total',
    type: 'counter',
    help: 'Frames that entered and were sent to the one port where their destination is.',
    ...ofNetworks((network) => network.unicast),
  },
  {
    name: 'vswitchd_network_flooded_frames_total',
    type: 'counter',
    help: 'Frames that entered and were flooded: broadcast, multicast, unknown unicast.',
    ...ofNetworks((network) => network.flooded),
  },
  {
    name: 'vswitchd_network_replicated_frames_total',
    type: 'counter',
    help: 'Copies that were made of flooded frames.',
    ...ofNetworks((network) => network.replicated),
  },
  {
    name: 'vswitchd_network_generated_frames_total',
    type: 'counter',
    help: 'Frames that this host made itself, such as ICMP errors and ARP replies.',
    ...ofNetworks((network) => network.generated),
  },
  {
    name: 'vswitchd_network_consumed_frames_total',
    type: 'counter',
    help: 'Frames that ended here because they were for this host itself.',
    ...ofNetworks((network) => network.consumed),
  },
  {
    name: 'vswitchd_fdb_entries',
    type: 'gauge',
    help: 'Entries of the FDB by origin: learned from frames, static by people, control by the store.',
    labels: [...NETWORK, 'origin'],
    read: ({ counters, networks }) =>
      counters.networks.flatMap((network) =>
        entriesOf(
          network,
          networks.find(({ name }) => name === network.name),
        ),
      ),
  },
  {
    name: 'vswitchd_fdb_learned_total',
    type: 'counter',
    help: 'MAC addresses that were learned.',
    ...ofNetworks(({ fdb }) => fdb.learned),
  },
  {
    name: 'vswitchd_fdb_moved_total',
    type: 'counter',
    help: 'Times that a MAC address was heard at another port than before.',
    ...ofNetworks(({ fdb }) => fdb.moved),
  },
  {
    name: 'vswitchd_fdb_aged_total',
    type: 'counter',
    help: 'MAC addresses that were forgotten because they were silent.',
    ...ofNetworks(({ fdb }) => fdb.aged),
  },
  {
    name: 'vswitchd_fdb_evicted_total',
    type: 'counter',
    help: 'MAC addresses that were forgotten to make room for others.',
    ...ofNetworks(({ fdb }) => fdb.evicted),
  },
  {
    name: 'vswitchd_fdb_full_total',
    type: 'counter',
    help: 'Times that a MAC address was not learned because the FDB, or its port, had no room.',
    ...ofNetworks(({ fdb }) => fdb.full),
  },
];

export const underlayMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_underlay_datagrams_total',
    type: 'counter',
    help: 'Datagrams that came in on the UDP ports of the networks.',
    ...single(({ counters }) => counters.underlay.datagrams),
  },
  {
    name: 'vswitchd_underlay_receive_buffer_bytes',
    type: 'gauge',
    help: 'Receive buffer of the underlay sockets.',
    ...single(({ counters }) => counters.underlay.receive_buffer),
  },
];
