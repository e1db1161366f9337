// vswitchctl network ...

import type { NetworkView } from '../control/client.js';
import {
  cidrArgument,
  collect,
  mtuArgument,
  udpPortArgument,
  vniArgument,
  vtepArgument,
} from './arguments.js';
import { type Register, show } from './context.js';
import { portReasons, portTable, removedText } from './portTable.js';
import { fields, indent, table } from './table.js';

interface AddOptions {
  readonly vni?: number;
  readonly peer: readonly string[];
  readonly subnet?: string;
  readonly port?: number;
  readonly mtu?: number;
  readonly open?: true;
}

export const registerNetwork: Register = (program, run) => {
  const network = program.command('network').description('networks: add, rm, ls, show');
  network
    .command('add <name>')
    .description('make a network on this host')
    .option(
      '--vni <number>',
      'VXLAN network identifier (default: the first free one from 256)',
      vniArgument,
    )
    .option('--peer <address>', 'remote VTEP, may be given many times', collect(vtepArgument), [])
    .option('--subnet <cidr>', 'addresses of this network', cidrArgument)
    .option('--port <number>', "UDP port of this network (default: the VTEP's)", udpPortArgument)
    .option('--mtu <bytes>', 'MTU of its ports (default: from the underlay)', mtuArgument)
    .option('--open', 'let VTEPs send that are not peers')
    .action(
      run(async (context, name: string, options: AddOptions) => {
        const { peer, ...settings } = options;
        const added = await context.client.addNetwork({ name, peers: [...peer], ...settings });
        show(context, added, () => `added network ${added.name}, VNI ${added.vni}`);
      }),
    );
  network
    .command('rm <name>')
    .description('remove a network with its ports and their TAPs')
    .action(
      run(async (context, name: string) => {
        show(context, await context.client.removeNetwork(name), (gone) =>
          [`removed network ${name}`, ...removedText(gone)].join('\n'),
        );
      }),
    );
  network
    .command('ls')
    .description('list networks')
    .action(run(async (context) => show(context, await context.client.networks(), networkTable)));
  network
    .command('show <name>')
    .description('everything about one network')
    .action(
      run(async (context, name: string) =>
        show(context, await context.client.network(name), networkText),
      ),
    );
};

function networkTable(networks: readonly NetworkView[]): string {
  return table(
    ['network', 'vni', 'udp', 'subnet', 'mtu', 'ports', 'peers', 'up', 'source'],
    networks.map((item) => [
      item.name,
      item.vni,
      item.port,
      item.subnet,
      item.mtu,
      item.ports.length,
      item.peers.length,
      item.up ? 'yes' : 'no',
      item.source,
    ]),
  );
}

function networkText(network: NetworkView): string {
  const {
    name: _,
    vni: __,
    port: ___,
    subnet: ____,
    mtu: _____,
    up: ______,
    open: _______,
    ...rest
  } = network.settings;
  const peers = network.peers.map((peer) => [peer.address, peer.port, peer.vni, peer.path_mtu]);
  return [
    fields([
      ['network', network.name],
      ['vni', network.vni],
      ['udp port', network.port],
      ['subnet', network.subnet],
      ['mtu', network.mtu],
      ['up', network.up ? 'yes' : 'no'],
      ['open', network.open ? 'yes, anybody may send' : 'no, peers only'],
      ['source', network.source],
      ...Object.entries(rest).map(([key, value]) => [key, plain(value)] as const),
    ]),
    ...(peers.length === 0
      ? ['no peers']
      : ['peers:', indent(table(['address', 'udp', 'vni', 'path mtu'], peers))]),
    ...(network.ports.length === 0 ? ['no ports'] : ['ports:', indent(portTable(network.ports))]),
    ...portReasons(network.ports),
  ].join('\n');
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
