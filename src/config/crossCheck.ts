// What no single value can know: names, VNIs and devices that are used twice, families that do not
// meet, limits that depend on each other. The same rules judge the file and what the API adds.

import { contains, type Family, isLinkLocal6, parseCidr, parseIp } from '../model/ip.js';
import { isZeroMac } from '../model/mac.js';
import { netnsPath } from '../model/netns.js';
import {
  type FdbStatic,
  hasInterface,
  ifnameOf,
  type Network,
  overheadOf,
  type Peer,
  type Port,
  udpPortOf,
  type VtepSettings,
} from '../model/network.js';
import { formatVtep } from '../model/vtep.js';
import { ifname } from './leaf.js';
import { MTU_MIN, VNI_ALLOWED } from './networkSchema.js';
import type { Path } from './problem.js';

/** `allowed` says what may stand at `path`; `message` is a warning's whole text. */
export interface Finding {
  readonly path: Path;
  readonly allowed: string;
}

export interface Findings {
  /** Each of these refuses the configuration. */
  readonly problems: readonly Finding[];
  /** These are taken care of, but the operator should know. */
  readonly warnings: readonly Finding[];
}

/** One network with the path where it stands in the document. */
export interface Placed {
  readonly path: Path;
  readonly network: Network;
}

const IFNAME = ifname();

/** Judges the networks against each other and against the VTEP (absent when it is itself broken). */
export function crossCheck(vtep: VtepSettings | undefined, networks: readonly Placed[]): Findings {
  const check = new Check(vtep);
  if (vtep !== undefined) check.vtep(vtep);
  for (const placed of networks) check.network(placed);
  return { problems: check.problems, warnings: check.warnings };
}

/** What is added to networks that are there: judged one by one, so that only a misfit stays out. */
export interface Additions {
  /** Why the part does not fit; `undefined` = it does, and the next ones are judged beside it. */
  network(network: Network): string | undefined;
  port(port: Port, network: Network): string | undefined;
  peer(peer: Peer, network: Network): string | undefined;
  fdb(entry: FdbStatic, network: Network): string | undefined;
}

/** `networks` must be free of problems. Each question costs the same, however much is there. */
export function additionsTo(vtep: VtepSettings, networks: readonly Network[]): Additions {
  const check = new Check(vtep);
  for (const network of networks) check.network({ path: [network.name], network });
  const part = { ports: [], peers: [], fdb: [] };
  return {
    network: (network) => check.admit((to) => to.network({ path: [], network })),
    port: (port, network) =>
      check.admit((to) => to.ports([], { ...network, ...part, ports: [port] })),
    peer: (peer, network) =>
      check.admit((to) => to.peers([], { ...network, ...part, peers: [peer] })),
    fdb: (entry, network) => check.admit((to) => to.fdb([], { ...network, ...part, fdb: [entry] })),
  };
}

/** Remembers who used what first, across all networks. */
class Check {
  readonly problems: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly #vtep: VtepSettings | undefined;
  readonly #family: Family | undefined;
  /** Everything that may be used only once, to who uses it. */
  readonly #users = new Map<string, string>();
  /** What the present judgement added to `#users`. */
  #journal: string[] = [];

  constructor(vtep: VtepSettings | undefined) {
    this.#vtep = vtep;
    this.#family = vtep && familyOf(vtep.address);
  }

  /** Runs one judgement and forgets what it used if it refused. */
  admit(judge: (to: this) => void): string | undefined {
    const { length } = this.problems;
    this.#journal = [];
    judge(this);
    const found = this.problems[length];
    if (found !== undefined) for (const thing of this.#journal) this.#users.delete(thing);
    this.problems.length = length;
    return found?.allowed;
  }

  vtep(vtep: VtepSettings): void {
    const path = ['vtep'];
    const { min, max, pool } = vtep.source_ports;
    if (min > max)
      this.#refuse([...path, 'source_ports', 'min'], `at most source_ports.max (${max})`);
    else if (pool > max - min + 1) {
      this.#refuse(
        [...path, 'source_ports', 'pool'],
        `at most the ${max - min + 1} ports from min to max`,
      );
    }
    if (this.#family === 6 && !vtep.udp_checksum) {
      this.#refuse(
        [...path, 'udp_checksum'],
        'true: IPv6 needs the UDP checksum (RFC 8200 section 8.1)',
      );
    }
    if (isScopeless(vtep.address, vtep)) {
      this.#refuse([...path, 'address'], 'a link-local address only together with vtep.interface');
    }
  }

  network({ path, network }: Placed): void {
    const who = `network ${network.name}`;
    this.#once(`network ${network.name}`, who, [...path, 'name'], 'a name of its own');
    if (network.vni === 0 && !network.allow_vni_zero) {
      this.#refuse([...path, 'vni'], `${VNI_ALLOWED} (0 only with allow_vni_zero)`);
    }
    if (this.#vtep !== undefined) {
      const udpPort = udpPortOf(network, this.#vtep);
      this.#once(
        `vni ${udpPort}/${network.vni}`,
        who,
        [...path, 'vni'],
        `a VNI of its own on UDP port ${udpPort}`,
      );
    }
    this.#mtu([...path, 'mtu'], network.mtu, familyOfSubnet(network.subnet));
    this.#group(path, network);
    this.peers(path, network);
    this.ports(path, network);
    this.fdb(path, network);
  }

  ports(path: Path, network: Network): void {
    network.ports.forEach((port, at) => {
      this.#port([...path, 'ports', at], port, network);
    });
  }

  #group(path: Path, network: Network): void {
    if (network.group === undefined) return;
    this.#sameFamily([...path, 'group', 'address'], network.group.address);
  }

  peers(path: Path, network: Network): void {
    const seen = new Set<string>();
    network.peers.forEach((peer, at) => {
      const place = [...path, 'peers', at];
      this.#sameFamily([...place, 'address'], peer.address);
      const key = peerKey(peer, network, this.#vtep);
      if (peer.address === this.#vtep?.address) {
        this.#warn(place, `${peer.address} is our own VTEP address and is left out`);
      } else if (seen.has(key)) {
        this.#warn(place, `${formatVtep(peer)} is listed twice and used once`);
      }
      seen.add(key);
    });
  }

  #port(path: Path, port: Port, network: Network): void {
    const who = `port ${port.name}`;
    this.#once(who, portUser(network), [...path, 'name'], 'a name of its own in the whole daemon');
    if (port.mac !== undefined) {
      this.#once(
        `mac ${network.name} ${port.mac}`,
        who,
        [...path, 'mac'],
        'a MAC address of its own in the network',
      );
    }
    this.#packet(path, port);
    if (hasInterface(port)) {
      const name = ifnameOf(port);
      if (!IFNAME.safeParse(name).success) {
        this.#refuse(
          [...path, 'ifname'],
          `an interface name, because ${name} is too long to be one`,
        );
      }
      const place = port.netns === undefined ? (port.handover ?? '') : netnsPath(port.netns);
      this.#once(
        `device ${place} ${name}`,
        who,
        [...path, 'ifname'],
        'an interface name of its own in the namespace',
      );
    }
    const cidrs = port.addresses.map((text) => parseCidr(text));
    const v6 = cidrs.some((cidr) => cidr?.family === 6) ? 6 : familyOfSubnet(network.subnet);
    this.#mtu([...path, 'mtu'], port.mtu ?? network.mtu, v6);
    const subnet = network.subnet === undefined ? undefined : parseCidr(network.subnet);
    cidrs.forEach((cidr, at) => {
      const outside =
        cidr !== undefined && subnet?.family === cidr.family && !contains(subnet, cidr);
      if (outside) {
        this.#warn(
          [...path, 'addresses', at],
          `${cidr.address} lies outside the subnet ${network.subnet}`,
        );
      }
    });
  }

  /** Nothing of the interface is set, so what would be is refused. */
  #packet(path: Path, { kind, ifname, mac, addresses }: Port): void {
    if (kind !== 'packet') return;
    if (ifname === undefined) {
      this.#refuse([...path, 'ifname'], 'the interface of a packet port, which is there already');
    }
    if (addresses.length > 0 && mac === undefined) {
      this.#refuse(
        [...path, 'mac'],
        'the MAC of the station that has the addresses: those of a packet port are told, not set',
      );
    }
  }

  fdb(path: Path, network: Network): void {
    network.fdb.forEach((entry, at) => {
      const place = [...path, 'fdb', at];
      const targets = [entry.vtep, entry.port, entry.local].filter(
        (target) => target !== undefined,
      );
      if (targets.length !== 1) this.#refuse(place, 'exactly one of vtep, port and local');
      if (entry.vtep === undefined && (entry.vni ?? entry.udp_port) !== undefined) {
        this.#refuse(place, 'vni and udp_port only together with vtep');
      }
      if (entry.port !== undefined && this.#users.get(`port ${entry.port}`) !== portUser(network)) {
        this.#refuse([...place, 'port'], `a port of network ${network.name}`);
      }
      if (entry.vtep !== undefined) this.#fdbVtep(place, entry, entry.vtep);
      else if (isZeroMac(entry.mac))
        this.#refuse(place, 'a vtep for the all-zero MAC: it means the flood list');
      if (!isZeroMac(entry.mac)) {
        this.#once(
          `fdb ${network.name} ${entry.mac}`,
          'another entry',
          [...place, 'mac'],
          'a MAC with one entry',
        );
      }
    });
  }

  #fdbVtep(path: Path, entry: FdbStatic, vtep: string): void {
    this.#sameFamily([...path, 'vtep'], vtep);
    if (vtep === this.#vtep?.address) {
      this.#refuse(
        [...path, 'vtep'],
        `another host: this is our own VTEP address, use \`local: true\` for ${entry.mac}`,
      );
    }
  }

  #mtu(path: Path, mtu: number | undefined, family: Family | undefined): void {
    if (mtu === undefined) return;
    if (family === 6 && mtu < 1280) {
      this.#refuse(path, 'at least 1280 where IPv6 is used (RFC 8200 section 5)');
    }
    const most = 65535 - overheadOf(this.#vtep?.address ?? '');
    if (mtu > most) this.#refuse(path, `an MTU ${MTU_MIN}-${most}`);
  }

  #sameFamily(path: Path, address: string): void {
    const vtep = this.#vtep;
    if (vtep === undefined) return;
    if (familyOf(address) !== this.#family) {
      this.#refuse(path, `an IPv${this.#family} address like our own VTEP address ${vtep.address}`);
    } else if (isScopeless(address, vtep)) {
      this.#refuse(path, 'a link-local address only together with vtep.interface');
    }
  }

  #once(thing: string, user: string, path: Path, allowed: string): void {
    const first = this.#users.get(thing);
    if (first === undefined) {
      this.#users.set(thing, user);
      this.#journal.push(thing);
    } else this.#refuse(path, `${allowed} (${first} has it)`);
  }

  #refuse(path: Path, allowed: string): void {
    this.problems.push({ path, allowed });
  }

  #warn(path: Path, allowed: string): void {
    this.warnings.push({ path, allowed });
  }
}

/** Equal for peers that are one tunnel. Without VTEP only what was written can be compared. */
function peerKey(peer: Peer, network: Network, vtep: VtepSettings | undefined): string {
  return `${peer.address} ${peer.port ?? network.port ?? vtep?.port} ${peer.vni ?? network.vni}`;
}

function isScopeless(address: string, vtep: VtepSettings): boolean {
  const ip = parseIp(address);
  return ip !== undefined && isLinkLocal6(ip) && vtep.interface === undefined;
}

function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

function familyOfSubnet(subnet: string | undefined): Family | undefined {
  return subnet === undefined ? undefined : familyOf(subnet);
}

function portUser(network: Network): string {
  return `a port of network ${network.name}`;
}
