// CNI ADD: an interface in the container, attached to a network of vswitchd.

import type { NetworkView, PortView } from '../control/client.js';
import { contains, parseCidr, parseIp } from '../model/ip.js';
import type { Call } from './call.js';
import { CniError, CODES, daemonCode } from './cniError.js';
import { setRoutes } from './containerLink.js';
import { addressesOfPlugin, delegate, isDelegated } from './ipamPlugin.js';
import { portName } from './portName.js';
import type { Dns, IpConfig, Result, Route } from './result.js';

/** What the interface is to have; without addresses vswitchd gives one of each pool of the network. */
interface Given {
  readonly ips: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
}

/** All or nothing: what was made is taken back when a later step fails. */
export async function add(call: Call): Promise<Result> {
  const { config } = call;
  if (config.prevResult !== undefined && config.prevResult !== null) {
    throw new CniError(
      CODES.badConfig,
      'vswitch-cni makes an interface: it stands first in `plugins`',
    );
  }
  const network = await provideNetwork(call);
  await requireFree(call);
  const given = isDelegated(call) ? await addressesOfPlugin(call) : wished(call, network);
  try {
    return await attach(call, network, given);
  } catch (error) {
    if (!isAnothers(error)) await delegate(call, 'DEL').catch(() => {});
    throw error;
  }
}

/** Whether the same attachment was made by another call meanwhile, whose port and addresses stay. */
function isAnothers(error: unknown): boolean {
  return daemonCode(error) === 'PORT_EXISTS';
}

/** The network; made where it is missing and the configuration says how. */
async function provideNetwork({ config, client }: Call): Promise<NetworkView> {
  const { network: name, vni, subnet } = config;
  try {
    return await client.network(name);
  } catch (error) {
    const isMakeable = vni !== undefined || subnet !== undefined;
    if (daemonCode(error) !== 'NETWORK_UNKNOWN' || !isMakeable) throw error;
  }
  const settings = {
    ...(vni === undefined ? {} : { vni }),
    ...(subnet === undefined ? {} : { subnet }),
  };
  try {
    return await client.addNetwork({ name, ...settings });
  } catch (error) {
    // Two containers may come at once.
    if (daemonCode(error) !== 'NETWORK_EXISTS') throw error;
    return await client.network(name);
  }
}

/** A port of a container that is gone, which nobody could tell vswitchd, makes room. */
async function requireFree({ config, environment, client }: Call): Promise<void> {
  const name = portName(config.name, environment.attachment);
  const port = (await client.ports()).find((one) => one.name === name);
  if (port === undefined) return;
  if (port.state !== 'up') {
    await client.removePort(name);
    return;
  }
  const { containerId, ifname } = environment.attachment;
  throw new CniError(
    CODES.refused,
    `interface ${ifname} of container ${containerId} is attached already: call DEL first`,
    `vswitchd has it as port ${name}`,
  );
}

/** What configuration and runtime ask for, where addresses are of the network's own pools. */
function wished({ config }: Call, network: NetworkView): Given {
  const subnets = [...network.pools.map((pool) => pool.subnet), network.subnet ?? ''];
  const ips = (config.wishes.ips ?? []).map((address) => ({
    address: withPrefix(address, subnets),
  }));
  return { ips, routes: config.ipam.routes, dns: {} };
}

/** Throws code 7 for an address without prefix length that no subnet holds. */
export function withPrefix(address: string, subnets: readonly string[]): string {
  const ip = parseIp(address);
  if (ip === undefined) return address;
  const around = subnets.map(parseCidr).find((one) => one !== undefined && contains(one, ip));
  if (around !== undefined) return `${address}/${around.prefix}`;
  throw new CniError(
    CODES.badConfig,
    `no subnet of the network holds ${address}: name it with its prefix length, as in ${address}/24`,
  );
}

async function attach(call: Call, network: NetworkView, given: Given): Promise<Result> {
  const { config, environment, client } = call;
  const name = portName(config.name, environment.attachment);
  const { mac } = config.wishes;
  try {
    const port = await client.addPort(network.name, {
      ...{ name, netns: environment.netns, ifname: environment.attachment.ifname },
      addresses: given.ips.map(({ address }) => address),
      ...(mac === undefined ? {} : { mac }),
      ...(config.mtu === undefined ? {} : { mtu: config.mtu }),
    });
    const result = resultOf(call, port, { network, given });
    await setRoutes(call, result.routes);
    return result;
  } catch (error) {
    // Also after no answer: vswitchd may have done it all the same.
    if (!isAnothers(error)) await client.removePort(name).catch(() => {});
    throw error;
  }
}

function resultOf(
  { config, environment }: Call,
  port: PortView,
  { network, given }: { readonly network: NetworkView; readonly given: Given },
): Result {
  const { netns, attachment } = environment;
  const ips = port.addresses.map((address): IpConfig => {
    const gateway =
      given.ips.find((ip) => ip.address === address)?.gateway ?? gatewayOf(network, address);
    return { address, ...(gateway === undefined ? {} : { gateway }), interface: 0 };
  });
  return {
    interfaces: [
      {
        name: attachment.ifname,
        ...(port.mac === undefined ? {} : { mac: port.mac }),
        ...(port.mtu === undefined ? {} : { mtu: port.mtu }),
        sandbox: netns,
      },
    ],
    ips,
    routes: given.routes.map((route) => withGateway(route, ips)),
    dns: Object.keys(given.dns).length > 0 ? given.dns : (config.dns ?? {}),
  };
}

/** That of the pool which the address is of. */
function gatewayOf({ pools }: NetworkView, address: string): string | undefined {
  const cidr = parseCidr(address);
  return pools.find(({ subnet }) => {
    const around = parseCidr(subnet);
    return cidr !== undefined && around !== undefined && contains(around, cidr);
  })?.gateway;
}

/** A route that names no next hop leads to the gateway of its family, where there is one. */
function withGateway(route: Route, ips: readonly IpConfig[]): Route {
  if (route.gw !== undefined) return route;
  const isV6 = route.dst.includes(':');
  const gw = ips.find((ip) => ip.gateway?.includes(':') === isV6)?.gateway;
  return { ...route, ...(gw === undefined ? {} : { gw }) };
}
