// Metrics of local ports, of tunnels, and of the VTEPs behind them.

import type { CountersView, NetworkCountersView } from '../../control/views.js';
import { parseTunnel } from '../../model/vtep.js';
import type { Metric, Reading, Sample } from './metric.js';

type PortCounters = NetworkCountersView['ports'][number];
type Vtep = CountersView['vteps'][number];

const PORT = ['network', 'port'];
const TUNNEL = ['network', 'vtep'];
const VTEP = ['vtep'];

function ofPorts(value: (port: PortCounters) => number): Pick<Metric, 'labels' | 'read'> {
  return {
    labels: PORT,
    read: ({ counters }) =>
      counters.networks.flatMap(({ name: network, ports }) =>
        ports
          .filter(({ kind }) => kind !== 'tunnel')
          .map((port) => ({ labels: { network, port: port.name }, value: value(port) })),
      ),
  };
}

/** Tunnels of one network to one VTEP (with other VNIs, or UDP ports) are taken together by `join`. */
function ofTunnels(
  value: (tunnel: PortCounters) => number | undefined,
  join: (a: number, b: number) => number = (a, b) => a + b,
): Pick<Metric, 'labels' | 'read'> {
  return {
    labels: TUNNEL,
    read: ({ counters }) =>
      counters.networks.flatMap(({ name: network, vni, ports }) => {
        const values = new Map<string, number>();
        for (const port of ports.filter(({ kind }) => kind === 'tunnel')) {
          const vtep = parseTunnel(port.name, vni)?.address;
          const number = value(port);
          if (number === undefined || vtep === undefined) continue;
          const before = values.get(vtep);
          values.set(vtep, before === undefined ? number : join(before, number));
        }
        return [...values].map(([vtep, number]) => ({ labels: { network, vtep }, value: number }));
      }),
  };
}

function ofVteps(value: (vtep: Vtep) => number | undefined): Pick<Metric, 'labels' | 'read'> {
  return {
    labels: VTEP,
    read: ({ counters }: Reading): Sample[] =>
      counters.vteps.flatMap((vtep) => {
        const number = value(vtep);
        return number === undefined ? [] : [{ labels: { vtep: vtep.address }, value: number }];
      }),
  };
}

const seconds = (micros: number | undefined) => (micros === undefined ? undefined : micros / 1e6);

export const portMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_port_up',
    type: 'gauge',
    help: 'Whether the port is attached: 1, or 0 while it waits or its device is gone.',
    labels: PORT,
    read: ({ ports }) =>
      ports.map(({ network, name, state }) => ({
        labels: { network, port: name },
        value: Number(state === 'up'),
      })),
  },
  {
    name: 'vswitchd_port_receive_frames_total',
    type: 'counter',
    help: 'Frames that entered the switch at the port: what its container sent.',
    ...ofPorts((port) => port.rx_frames),
  },
  {
    name: 'vswitchd_port_receive_bytes_total',
    type: 'counter',
    help: 'Bytes of the frames that entered the switch at the port.',
    ...ofPorts((port) => port.rx_bytes),
  },
  {
    name: 'vswitchd_port_transmit_frames_total',
    type: 'counter',
    help: 'Frames that left the switch at the port: what its container got.',
    ...ofPorts((port) => port.tx_frames),
  },
  {
    name: 'vswitchd_port_transmit_bytes_total',
    type: 'counter',
    help: 'Bytes of the frames that left the switch at the port.',
    ...ofPorts((port) => port.tx_bytes),
  },
  {
    name: 'vswitchd_port_macs',
    type: 'gauge',
    help: 'MAC addresses learned at the port.',
    ...ofPorts((port) => port.macs),
  },
];

export const tunnelMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_tunnel_receive_frames_total',
    type: 'counter',
    help: 'Frames of the network that came from the VTEP.',
    ...ofTunnels((tunnel) => tunnel.rx_frames),
  },
  {
    name: 'vswitchd_tunnel_receive_bytes_total',
    type: 'counter',
    help: 'Bytes of the frames of the network that came from the VTEP, without the outer headers.',
    ...ofTunnels((tunnel) => tunnel.rx_bytes),
  },
  {
    name: 'vswitchd_tunnel_transmit_frames_total',
    type: 'counter',
    help: 'Frames of the network that were sent to the VTEP.',
    ...ofTunnels((tunnel) => tunnel.tx_frames),
  },
  {
    name: 'vswitchd_tunnel_transmit_bytes_total',
    type: 'counter',
    help: 'Bytes of the frames of the network that were sent to the VTEP, without the outer headers.',
    ...ofTunnels((tunnel) => tunnel.tx_bytes),
  },
  {
    name: 'vswitchd_tunnel_unreachable_total',
    type: 'counter',
    help: 'ICMP errors "unreachable" about datagrams of the network to the VTEP.',
    ...ofTunnels((tunnel) => tunnel.unreachable),
  },
  {
    name: 'vswitchd_tunnel_path_mtu_bytes',
    type: 'gauge',
    help: 'Largest outer IP packet that the path to the VTEP carries, as far as is known.',
    ...ofTunnels((tunnel) => tunnel.path_mtu, Math.min),
  },
  {
    name: 'vswitchd_tunnel_macs',
    type: 'gauge',
    help: 'MAC addresses of the network learned behind the VTEP.',
    ...ofTunnels((tunnel) => tunnel.macs),
  },
  {
    name: 'vswitchd_vtep_up',
    type: 'gauge',
    help: 'Whether the VTEP is heard or answers: 1, or 0 while it is silent or nothing is known of it.',
    ...ofVteps((vtep) => Number(vtep.state === 'alive')),
  },
  {
    name: 'vswitchd_vtep_heard_timestamp_seconds',
    type: 'gauge',
    help: 'Unix time at which the last datagram from the VTEP was noticed.',
    ...ofVteps(({ heard_at }) => (heard_at === undefined ? undefined : Date.parse(heard_at) / 1e3)),
  },
  {
    name: 'vswitchd_vtep_rtt_seconds',
    type: 'gauge',
    help: 'Round trip of the last ICMP echo that the VTEP answered.',
    ...ofVteps((vtep) => seconds(vtep.rtt_us)),
  },
  {
    name: 'vswitchd_vtep_rtt_mean_seconds',
    type: 'gauge',
    help: 'Mean round trip of the last eight or so ICMP echoes that the VTEP answered.',
    ...ofVteps((vtep) => seconds(vtep.mean_rtt_us)),
  },
  {
    name: 'vswitchd_vtep_echo_requests_total',
    type: 'counter',
    help: 'ICMP echo requests sent to the VTEP.',
    ...ofVteps((vtep) => vtep.asked),
  },
  {
    name: 'vswitchd_vtep_echo_replies_total',
    type: 'counter',
    help: 'ICMP echo requests that the VTEP answered.',
    ...ofVteps((vtep) => vtep.answered),
  },
];
