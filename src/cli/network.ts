// vswitchctl network ...

import type { Command } from 'commander';
import type { NetworkView } from '../control/client.js';
import {
  addressArgument,
  cidrArgument,
  listOption,
  mtuArgument,
  subnetArgument,
  udpPortArgument,
  vniArgument,
  vtepArgument,
} from './arguments.js';
import { type Register, type Runner, show } from './context.js';
import { type PoolOptions, poolsOf } from './pools.js';
import { portReasons, portTable, removedText } from './portTable.js';
import { fields, indent, table } from './table.js';

interface AddOptions extends PoolOptions {
  readonly vni?: number;
  readonly peer: readonly string[];
  readonly port?: number;
  readonly mtu?: number;
  readonly open?: true;
}

export const registerNetwork: Register = (program, run) => {
  const network = program.command('network').description('networks: add, rm, ls, show');
  registerAdd(network, run);
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

function registerAdd(network: Command, run: Runner): void {
  network
    .command('add <name>')
    .description('make a network, on all hosts that share the store')
    .option(
      '--vni <number>',
      'VXLAN network identifier (default: a free one from 256)',
      vniArgument,
    )
    .addOption(listOption('--peer <address>', 'remote VTEP, may be given many times', vtepArgument))
    .addOption(
      listOption(
        '--subnet <cidr|auto>',
        'its ports get addresses of it; once for each family, or auto for a free one',
        subnetArgument,
      ),
    )
    .addOption(
      listOption(
        '--gateway <address>',
        'address that no port gets, in one of the subnets',
        addressArgument,
      ),
    )
    .addOption(
      listOption(
        '--range <cidr>',
        'ports get addresses of this part of a subnet alone',
        cidrArgument,
      ),
    )
    .option('--port <number>', "UDP port of this network (default: the VTEP's)", udpPortArgument)
    .option('--mtu <bytes>', 'MTU of its ports (default: from the underlay)', mtuArgument)
    .option('--open', 'let VTEPs send that are not peers')
    .action(
      run(async (context, name: string, options: AddOptions) => {
        const { peer, subnet, gateway, range, ...settings } = options;
        const pools = poolsOf({ subnet, gateway, range }, (why) => network.error(`error: ${why}`));
        const added = await context.client.addNetwork({
          ...{ name, peers: [...peer], ...settings },
          ...(pools && { pools }),
        });
        show(context, added, () => {
          const subnets = added.pools.map((pool) => `, subnet ${pool.subnet}`).join('');
          return `added network ${added.name}, VNI ${added.vni}${subnets}`;
        });
      }),
    );
}

function networkTable(networks: readonly NetworkView[]): string {
  return table(
    ['network', 'vni', 'udp', 'subnet', 'mtu', 'ports', 'peers', 'members', 'up', 'source'],
    networks.map((item) => [
      item.name,
      item.vni,
      item.port,
      subnetsOf(item),
      item.mtu,
      item.ports.length,
      item.peers.length,
      item.source === 'store' ? item.members.length : undefined,
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
  const peers = network.peers.map((peer) => [
    ...[peer.address, peer.port, peer.vni, peer.origin, peer.path_mtu],
  ]);
  return [
    fields([
      ['network', network.name],
      ['vni', network.vni],
      ['udp port', network.port],
      ['subnet', subnetsOf(network)],
      ['gateway', network.pools.flatMap((pool) => pool.gateway ?? []).join(',') || undefined],
      ['range', network.pools.flatMap((pool) => pool.range ?? []).join(',') || undefined],
      ['mtu', network.mtu],
      ['up', network.up ? 'yes' : 'no'],
      ['open', network.open ? 'yes, anybody may send' : 'no, peers only'],
      ['source', network.source],
      ['owner', network.owner],
      ['members', network.source === 'store' ? network.members.join(', ') || 'none' : undefined],
      ...Object.entries(rest).map(([key, value]) => [key, plain(value)] as const),
    ]),
    ...(peers.length === 0
      ? ['no peers']
      : ['peers:', indent(table(['address', 'udp', 'vni', 'origin', 'path mtu'], peers))]),
    ...(network.ports.length === 0 ? ['no ports'] : ['ports:', indent(portTable(network.ports))]),
    ...portReasons(network.ports),
  ].join('\n');
}

function subnetsOf({ subnet, pools }: NetworkView): string | undefined {
  return pools.map((pool) => pool.subnet).join(',') || subnet;
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
