// vswitchctl endpoint ...

import type { EndpointView } from '../control/client.js';
import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerEndpoint: Register = (program, run) => {
  program
    .command('endpoint')
    .description('containers on all hosts: ls')
    .command('ls')
    .description('list the containers that the store knows')
    .argument('[network]')
    .action(
      run(async (context, network?: string) =>
        show(context, await context.client.endpoints(network), endpointTable),
      ),
    );
};

function endpointTable(endpoints: readonly EndpointView[]): string {
  return table(
    ['name', 'network', 'mac', 'addresses', 'host', 'state'],
    endpoints.map((item) => [
      item.name ?? item.id.slice(0, 12),
      item.network,
      item.mac,
      item.addresses.join(','),
      item.host,
      item.state,
    ]),
  );
}
