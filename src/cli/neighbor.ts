// vswitchctl neighbor ...

import type { NeighborView } from '../control/client.js';
import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerNeighbor: Register = (program, run) => {
  program
    .command('neighbor')
    .description('who has which address: show')
    .command('show')
    .description('which IP address is where; ARP and ND are answered here for live ones')
    .argument('[network]')
    .action(
      run(async (context, network?: string) =>
        show(context, await context.client.neighbors(network), neighborTable),
      ),
    );
};

function neighborTable(neighbors: readonly NeighborView[]): string {
  return table(
    ['ip', 'network', 'mac', 'where', 'state'],
    neighbors.map((item) => [
      item.ip,
      item.network,
      item.mac,
      item.vtep === undefined ? 'this host' : `vtep ${item.vtep}`,
      item.state,
    ]),
  );
}
