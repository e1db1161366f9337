// The container's end, as its namespace has it. vswitchd gives the interface its addresses; routes are the
// container's own affair, so `ip` sets them there, and tells what is there, by way of nsenter(1).

import * as z from 'zod';
import { parseCidr, parseIp } from '../model/ip.js';
import type { Call } from './call.js';
import { CniError, CODES } from './cniError.js';
import { runProgram } from './program.js';
import type { Interface, IpConfig, Route } from './result.js';

/** Sets them, whatever was there before. A route without next hop leads out of the interface itself. */
export async function setRoutes(call: Call, routes: readonly Route[]): Promise<void> {
  if (routes.length === 0) return;
  const { ifname } = call.environment.attachment;
  await ip(
    call,
    ['-batch', '-'],
    `${routes.map((route) => routeCommand(route, ifname)).join('\n')}\n`,
  );
}

/** One line for `ip -batch`. */
export function routeCommand(route: Route, ifname: string): string {
  const { dst, gw, mtu, advmss, priority, table, scope } = route;
  const words = [
    ...['route', 'replace', dst, ...(gw === undefined ? [] : ['via', gw]), 'dev', ifname],
    ...(priority === undefined ? [] : ['metric', priority]),
    ...(table === undefined ? [] : ['table', table]),
    ...(scope === undefined ? [] : ['scope', scope]),
    ...(mtu === undefined ? [] : ['mtu', mtu]),
    ...(advmss === undefined ? [] : ['advmss', advmss]),
  ];
  return words.join(' ');
}

/** What of the interface, of its addresses and of the routes is not there: one sentence for each. */
export async function missing(
  call: Call,
  wanted: {
    readonly link: Interface;
    readonly ips: readonly IpConfig[];
    readonly routes: readonly Route[];
  },
): Promise<string[]> {
  const { link, ips, routes } = wanted;
  const links = linksSchema.parse(JSON.parse(await ip(call, ['-j', 'address', 'show'])));
  const found = links.find(({ ifname }) => ifname === link.name);
  if (found === undefined) return [`there is no interface ${link.name}`];
  const has = new Set(found.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`));
  const lost = ips.map(({ address }) => address).filter((address) => !has.has(canonical(address)));
  const known = routes.length === 0 ? new Set<string>() : await routesOf(call);
  const gone = routes.filter((route) => !known.has(routeKey(route)));
  const isMac = link.mac === undefined || found.address === link.mac.toLowerCase();
  return [
    ...(found.flags.includes('UP') ? [] : [`${link.name} is down`]),
    ...(isMac ? [] : [`${link.name} has the MAC ${found.address} instead of ${link.mac}`]),
    ...lost.map((address) => `${link.name} lacks the address ${address}`),
    ...gone.map(
      ({ dst, gw }) => `there is no route to ${dst}${gw === undefined ? '' : ` via ${gw}`}`,
    ),
  ];
}

/** Of both families and all tables. */
async function routesOf(call: Call): Promise<Set<string>> {
  const keys = new Set<string>();
  for (const family of ['-4', '-6'] as const) {
    const text = await ip(call, ['-j', family, 'route', 'show', 'table', 'all']);
    const rows = routesSchema.parse(JSON.parse(text === '' ? '[]' : text));
    for (const { dst, gateway } of rows) {
      const bits = family === '-4' ? 32 : 128;
      const any = family === '-4' ? '0.0.0.0/0' : '::/0';
      const whole = dst === 'default' ? any : dst.includes('/') ? dst : `${dst}/${bits}`;
      keys.add(routeKey({ dst: whole, gw: gateway }));
    }
  }
  return keys;
}

function routeKey({ dst, gw }: Route): string {
  return `${canonical(dst)} ${parseIp(gw ?? '')?.address ?? ''}`;
}

function canonical(cidr: string): string {
  const parsed = parseCidr(cidr);
  return parsed === undefined ? cidr : `${parsed.address}/${parsed.prefix}`;
}

async function ip(call: Call, args: readonly string[], input = ''): Promise<string> {
  const { netns } = call.environment;
  const { PATH } = call.variables;
  const env = { ...call.variables, PATH: [PATH, SYSTEM_PATH].filter(Boolean).join(':') };
  const spec = { path: 'nsenter', args: [`--net=${netns}`, 'ip', ...args], env, input };
  const end = await runProgram(spec).catch((error) => {
    throw new CniError(
      CODES.refused,
      'cannot run nsenter and ip: install util-linux and iproute2',
      String(error),
    );
  });
  if (end.code === 0) return end.stdout;
  throw new CniError(
    CODES.refused,
    `ip ${args.join(' ')} failed in the namespace ${netns}`,
    [end.stderr.trim(), input.trim()].filter((text) => text !== '').join('; '),
  );
}

/** Runtimes may start us with less. An empty one would mean the current folder. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const linksSchema = z.array(
  z.object({
    ifname: z.string(),
    address: z.string().optional(),
    flags: z.array(z.string()),
    addr_info: z
      .array(z.object({ local: z.string().optional(), prefixlen: z.number().optional() }))
      .default([]),
  }),
);
const routesSchema = z.array(z.object({ dst: z.string(), gateway: z.string().optional() }));
