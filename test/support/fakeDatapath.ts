/**
 * A host without kernel: namespaces, TAPs and a datapath that keeps its desired state in memory and
 * holds to the contract of the seam (whole states, all or nothing, TAPs outlive the switch).
 */

import type {
  Addon,
  ApplyReport,
  CaptureSpec,
  CaptureStatus,
  Counters,
  DatapathEvent,
  DesiredState,
  FdbEntry,
  History,
  NativeDatapath,
  NetworkCounters,
  NewTap,
  OwnedTap,
  PortCounters,
  PortSpec,
  Probe,
  Trace,
  TraceRequest,
} from '../../src/datapath/seam.js';
import { pidOf } from '../../src/model/netns.js';
import type { Sighting } from '../../src/overlay/namespaces.js';
import { FakeCapture } from './fakeCapture.js';

interface FakeTap extends OwnedTap {
  readonly owner: string;
  /** Namespace it lives in: a path may lead elsewhere later. */
  readonly namespace: string | undefined;
}

export const DROP_REASONS = [
  { name: 'rx.vni_unknown', stage: 'underlay', sentence: 'No network here has this VNI.' },
  { name: 'rx.src_mac_zero', stage: 'ingress', sentence: 'The source MAC is all zero.' },
  { name: 'tx.port_gone', stage: 'egress', sentence: 'The port has disappeared.' },
] as const;

/** What the addon throws: the code and the facts as JSON. */
export function nativeError(code: string, facts: object): Error {
  return new Error(JSON.stringify({ code, ...facts }));
}

/** The machine: what tests change behind the daemon's back, and what they look at afterwards. */
export class FakeHost {
  /** Path to identity. */
  readonly namespaces = new Map<string, string>();
  readonly taps: FakeTap[] = [];
  readonly locks = new Set<string>();
  /** Name of a port, or path of a socket, to the code with which opening it fails. */
  readonly broken = new Map<string, string>();
  /** UDP ports that somebody else holds. */
  readonly heldUdpPorts = new Set<number>();
  probe: Probe = {
    tun: true,
    netAdmin: true,
    facilities: [
      { name: 'udp_gso', available: true },
      { name: 'udp_gro', available: false, detail: 'kernel 4.18' },
    ],
    vxlanDevices: [],
    interfaces: [{ ifname: 'eth0', mtu: 1500, up: true, addresses: ['10.200.0.1/24'] }],
  };
  /** The last switch that was made. */
  datapath: FakeDatapath | undefined;
  /** How often any switch was asked to apply. */
  applies = 0;

  readonly addon: Addon = this.#makeAddon();

  /** PID to the start time of its process; others started at 1. */
  readonly processStarts = new Map<number, string>();
  boot = 'boot 1';

  namespaceAt = async (path: string): Promise<Sighting | undefined> => {
    const namespace = this.namespaces.get(path);
    if (namespace === undefined) return undefined;
    const pid = pidOf(path);
    if (pid === undefined) return { namespace };
    const start = this.processStarts.get(pid) ?? '1';
    return { namespace, process: { pid, start, boot: this.boot, namespace } };
  };

  #makeAddon(): Addon {
    const host = this;
    return {
      Datapath: class extends FakeDatapath {
        constructor() {
          super(host);
          host.datapath = this;
        }
      },
      probe: () => host.probe,
      interfaces: () => host.probe.interfaces,
      dropReasons: () => [...DROP_REASONS],
      lockFile(path) {
        if (host.locks.has(path)) throw nativeError('LOCKED', { subject: path });
        host.locks.add(path);
        return { release: () => void host.locks.delete(path) };
      },
      notifyServiceManager() {},
      giveTap(path) {
        throw nativeError('HANDOVER_REFUSED', { subject: path });
      },
      ownedTaps: async (owner) => host.taps.filter((tap) => tap.owner === owner),
      async removeTap(netns, ifname, owner, port) {
        if (ifname === undefined) return host.#removeRoaming(netns, owner, port);
        const namespace = host.#namespaceOf(netns, `TAP ${ifname}`);
        const at = host.taps.findIndex(
          (tap) =>
            tap.namespace === namespace &&
            tap.ifname === ifname &&
            tap.owner === owner &&
            tap.port === port,
        );
        if (at >= 0) host.taps.splice(at, 1);
        return at >= 0;
      },
    };
  }

  /** Opens what `port` needs, or throws as the addon does. */
  openPort(port: PortSpec, owner: string): void {
    const subject = `port ${port.name}`;
    const code = this.broken.get(port.name);
    if (code !== undefined) throw nativeError(code, { subject, syscall: 'ioctl', errno: 16 });
    if (port.kind !== 'tap') return;
    if (port.sandbox !== undefined) {
      if (this.#roaming(port.sandbox, owner, port.name) < 0)
        throw nativeError('TAP_GONE', { subject });
      return;
    }
    const namespace = this.#namespaceOf(port.netns, subject);
    const ifname = port.ifname ?? '';
    const there = this.taps.find((tap) => tap.namespace === namespace && tap.ifname === ifname);
    if (there !== undefined && (there.owner !== owner || there.port !== port.name))
      throw nativeError('IFNAME_TAKEN', { subject });
    if (there !== undefined) return;
    const place = port.netns === undefined ? {} : { netns: port.netns };
    this.taps.push({ ...place, ifname, port: port.name, owner, namespace });
  }

  /** Makes the TAP of a port with a sandbox. */
  makeTap({ port, ifname }: NewTap, owner: string): void {
    const there = this.taps.find((tap) => tap.namespace === undefined && tap.ifname === ifname);
    if (there === undefined) this.taps.push({ ifname, port, owner, namespace: undefined });
    else if (there.owner !== owner || there.port !== port)
      throw nativeError('IFNAME_TAKEN', { subject: `port ${port}` });
  }

  #removeRoaming(sandbox: string | undefined, owner: string, port: string): boolean {
    const at = this.#roaming(sandbox, owner, port);
    if (at >= 0) this.taps.splice(at, 1);
    return at >= 0;
  }

  /** Index of the TAP that somebody else moves: in the sandbox or at home, under any name. */
  #roaming(sandbox: string | undefined, owner: string, port: string): number {
    const places = new Set([
      sandbox === undefined ? undefined : this.namespaces.get(sandbox),
      undefined,
    ]);
    return this.taps.findIndex(
      (tap) => places.has(tap.namespace) && tap.owner === owner && tap.port === port,
    );
  }

  #namespaceOf(path: string | undefined, subject: string): string | undefined {
    if (path === undefined) return undefined;
    const namespace = this.namespaces.get(path);
    if (namespace === undefined) throw nativeError('NETNS_GONE', { subject, detail: path });
    return namespace;
  }
}

/** idle -> running -> stopped. */
export class FakeDatapath implements NativeDatapath {
  desired: DesiredState | undefined;
  readonly flushed: string[] = [];
  /** Asked for so far; `live` ones run. */
  readonly captured: FakeCapture[] = [];
  readonly traced: TraceRequest[] = [];
  /** What every trace says. */
  tracing: Trace = { steps: [], verdict: 'flood', copies: [] };
  past: History = { lines: [], completeSince: 0 };
  readonly #host: FakeHost;
  readonly #events: DatapathEvent[] = [];
  #wake: () => void = () => {};
  #stopped = false;

  constructor(host: FakeHost) {
    this.#host = host;
  }

  async apply(desired: DesiredState): Promise<ApplyReport> {
    this.#host.applies += 1;
    // Other work may run while threads open files.
    await Promise.resolve();
    if (this.#stopped) throw nativeError('STOPPED', { subject: 'the switch' });
    const old = this.desired;
    if (old !== undefined && JSON.stringify(old.vtep) !== JSON.stringify(desired.vtep)) {
      throw nativeError('VTEP_CHANGED', { subject: desired.vtep.address });
    }
    for (const { udpPort } of desired.networks) {
      if (this.#host.heldUdpPorts.has(udpPort)) {
        const subject = `${desired.vtep.address}:${udpPort}`;
        throw nativeError('PORT_IN_USE', { subject, syscall: 'bind', errno: 98 });
      }
    }
    validateReferences(desired);
    const opened = new Set(portsOf(old).map((port) => JSON.stringify(port)));
    const before = [...this.#host.taps];
    try {
      for (const port of portsOf(desired)) {
        if (!opened.has(JSON.stringify(port))) this.#host.openPort(port, desired.engine.owner);
      }
    } catch (error) {
      this.#host.taps.splice(0, this.#host.taps.length, ...before);
      throw error;
    }
    this.desired = structuredClone(desired);
    return reportOf(old, desired);
  }

  /** Nobody hands anything over to a fake. */
  receiveHandovers(path: string): void {
    const code = this.#host.broken.get(path);
    if (code !== undefined) throw nativeError(code, { subject: path });
  }

  async makeTap(tap: NewTap): Promise<void> {
    if (this.desired === undefined) throw nativeError('BAD_VALUE', { subject: 'datapath' });
    this.#host.makeTap(tap, this.desired.engine.owner);
  }

  start(wake: () => void): void {
    this.#wake = wake;
  }

  /** An event as the engine would raise it. */
  raise(event: DatapathEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  drain(max: number): DatapathEvent[] {
    return this.#events.splice(0, max);
  }

  counters(): Counters {
    const networks = (this.desired?.networks ?? []).map(
      (network): NetworkCounters => ({
        name: network.name,
        vni: network.vni,
        ports: [
          ...network.ports.map(
            (port): PortCounters => ({ ...quiet(port.name, port.kind), ...details(port) }),
          ),
          ...network.tunnels.map((t) => quiet(`${t.remote}:${t.udpPort}`, 'tunnel')),
        ],
        retired: { rxFrames: 0, txFrames: 0, drops: [], notes: [] },
        ...{ unicast: 0, flooded: 0, replicated: 0, generated: 0, consumed: 0, drops: [] },
        ...{
          macs: 0,
          learned: 0,
          moved: 0,
          aged: 0,
          evicted: 0,
          full: 0,
          rsvdIgnored: 0,
          ecnOdd: 0,
          ecnNonip: 0,
        },
      }),
    );
    return {
      startedAt: 0,
      workers: [{ turns: 0, sleeps: 0, busyUs: 0, rxFrames: 0, txFrames: 0, drops: [] }],
      vteps: [],
      underlay: {
        datagrams: 0,
        drops: [],
        notes: [],
        retired: 0,
        sourcePorts: [50_000],
        receiveBuffer: 4096,
        path: 'udp',
      },
      networks,
    };
  }

  fdb(name?: string): FdbEntry[] {
    const networks = (this.desired?.networks ?? []).filter(
      (n) => name === undefined || n.name === name,
    );
    return networks.flatMap((network) =>
      network.fdb.map((entry) => ({
        network: network.name,
        vni: network.vni,
        mac: entry.mac,
        origin: entry.origin,
        active: true,
        ...(entry.to.port === undefined ? {} : { port: entry.to.port }),
        ...(entry.to.tunnel === undefined
          ? {}
          : {
              remote: entry.to.tunnel.remote,
              udpPort: entry.to.tunnel.udpPort,
              tunnelVni: entry.to.tunnel.vni,
            }),
        local: entry.to.local === true,
        idleSecs: 0,
      })),
    );
  }

  fdbFlush(network: string, port?: string): number {
    this.flushed.push(port === undefined ? network : `${network}/${port}`);
    return 1;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const capture of this.captured) capture.finish();
  }

  async capture(spec: CaptureSpec): Promise<CaptureStatus> {
    const capture = new FakeCapture(this.captured.length + 1, spec);
    this.captured.push(capture);
    return capture.status;
  }

  captures(): CaptureStatus[] {
    return this.captured.filter(({ live }) => live).map(({ status }) => status);
  }

  endCapture(id: number): boolean {
    const capture = this.captured.find(({ live, status }) => live && status.id === id);
    capture?.finish();
    return capture !== undefined;
  }

  trace(request: TraceRequest): Trace {
    this.traced.push(request);
    return this.tracing;
  }

  history(fromSeq: number): History {
    return { ...this.past, lines: this.past.lines.filter((line) => line.seq >= fromSeq) };
  }

  inject(): void {}
  memoryTake(): Uint8Array[] {
    return [];
  }
  underlayInject(): void {}
  underlayTake(): [] {
    return [];
  }
}

function portsOf(desired: DesiredState | undefined): PortSpec[] {
  return desired?.networks.flatMap((network) => network.ports) ?? [];
}

/** What the addon refuses as BAD_VALUE: references that lead nowhere, names used twice. */
function validateReferences(desired: DesiredState): void {
  const names = portsOf(desired).map((port) => port.name);
  if (new Set(names).size !== names.length)
    throw nativeError('BAD_VALUE', { subject: 'port names' });
  const vnis = desired.networks.map((network) => `${network.udpPort}/${network.vni}`);
  if (new Set(vnis).size !== vnis.length) throw nativeError('BAD_VALUE', { subject: 'VNIs' });
  for (const network of desired.networks) {
    const tunnels = network.tunnels.map((t) => `${t.remote}:${t.udpPort}/${t.vni}`);
    if (new Set(tunnels).size !== tunnels.length)
      throw nativeError('BAD_VALUE', { subject: 'tunnels' });
    for (const { mac, to } of network.fdb) {
      const { port, tunnel } = to;
      const leads =
        port !== undefined
          ? network.ports.some((item) => item.name === port)
          : tunnel === undefined ||
            tunnels.includes(`${tunnel.remote}:${tunnel.udpPort}/${tunnel.vni}`);
      if (!leads) throw nativeError('BAD_VALUE', { subject: `FDB entry ${mac}` });
    }
  }
}

function reportOf(old: DesiredState | undefined, next: DesiredState): ApplyReport {
  const before = named(old);
  const after = named(next);
  const names = [...after.keys()];
  return {
    kept: names.filter((name) => before.get(name) === after.get(name)),
    added: names.filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !after.has(name)),
    changed: names.filter((name) => before.has(name) && before.get(name) !== after.get(name)),
  };
}

/** Everything that a report names, with its whole value as text. */
function named(desired: DesiredState | undefined): Map<string, string> {
  const things = (desired?.networks ?? []).flatMap(({ ports, tunnels, fdb: _, ...network }) => [
    [`network ${network.name}`, JSON.stringify(network)] as const,
    ...ports.map((port) => [`port ${port.name}`, JSON.stringify(port)] as const),
    ...tunnels.map(
      (t) =>
        [`tunnel ${network.name} ${t.remote}:${t.udpPort}/${t.vni}`, JSON.stringify(t)] as const,
    ),
  ]);
  return new Map(things);
}

function quiet(name: string, kind: PortCounters['kind']): PortCounters {
  const counts = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0, macs: 0, unreachable: 0 };
  return { name, kind, state: 'up', ...counts, drops: [], notes: [] };
}

function details(port: PortSpec): Partial<PortCounters> {
  const { ifname, netns, mac, mtu } = port;
  return {
    ...(ifname && { ifname }),
    ...(netns && { netns }),
    ...(mac && { mac }),
    mtu,
    ifindex: 7,
  };
}
