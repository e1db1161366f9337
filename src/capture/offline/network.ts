// What a capture shows of one VNI.

import { BoundedMap, type Rooms, Tally } from './bounded.js';
import { BROADCAST, type InnerFrame, isGroup, type Judgement, type VxlanHeader } from './inner.js';
import { protocolName } from './protocols.js';

/** When and as which packet of the capture something was seen. */
export interface Sighting {
  /** Counted from 1, as Wireshark does. */
  readonly packet: number;
  /** Unix time in microseconds. */
  readonly at: number | undefined;
}

/** Where a datagram went. */
export interface Course {
  readonly from: string;
  readonly to: string;
  readonly sourcePort: number;
  readonly udpPort: number;
}

export interface Pair extends Omit<Course, 'sourcePort'> {
  frames: number;
  bytes: number;
  first: Sighting;
  last: Sighting;
  /** The first source port, and whether another was seen. */
  readonly sourcePort: number;
  severalSourcePorts: boolean;
  /** The stations of the first frame, and whether others were seen. */
  readonly stations: readonly [number, number] | undefined;
  severalStations: boolean;
}

/** An inner source MAC. */
export interface Station {
  vtep: string;
  frames: number;
  bytes: number;
  moves: number;
  first: Sighting;
  last: Sighting;
}

export interface Move extends Sighting {
  readonly vni: number;
  readonly mac: number;
  readonly from: string;
  readonly to: string;
}

export class Network {
  readonly vni: number;
  frames = 0;
  /** Of frames, without VXLAN. */
  bytes = 0;
  /** That every vswitchd would drop. */
  refused = 0;
  /** Of which the capture kept too little. */
  cut = 0;
  unicast = 0;
  multicast = 0;
  broadcast = 0;
  policies = 0;
  extended = 0;
  reserved = 0;
  readonly protocols: Tally<string>;
  readonly vlans: Tally<number>;
  /** By both addresses and UDP port. */
  readonly pairs: BoundedMap<string, Pair>;
  readonly stations: BoundedMap<number, Station>;

  constructor(vni: number, rooms: Rooms) {
    this.vni = vni;
    this.protocols = new Tally(rooms.kinds);
    this.vlans = new Tally(rooms.kinds);
    this.pairs = new BoundedMap(rooms.pairs);
    this.stations = new BoundedMap(rooms.stations);
  }

  /** A datagram with `bytes` of frame in it; the move of its source, if it is one. */
  add(judgement: Judgement, course: Course, bytes: number, seen: Sighting): Move | undefined {
    const { header, frame, reason, cut } = judgement;
    this.frames += 1;
    this.bytes += bytes;
    if (reason !== undefined) this.refused += 1;
    if (cut) this.cut += 1;
    if (header !== undefined) this.#describe(header, frame);
    this.#pair(course, bytes, seen, frame);
    const isJudgedGood = frame !== undefined && reason === undefined;
    return isJudgedGood ? this.#station(frame, course.from, bytes, seen) : undefined;
  }

  #describe(header: VxlanHeader, frame: InnerFrame | undefined): void {
    if (header.hasPolicy) this.policies += 1;
    if (header.nextProtocol !== undefined) this.extended += 1;
    if (header.hasReserved) this.reserved += 1;
    const name = protocolName(header, frame);
    if (name !== undefined) this.protocols.add(name);
    if (frame === undefined) return;
    if (frame.destination === BROADCAST) this.broadcast += 1;
    else if (isGroup(frame.destination)) this.multicast += 1;
    else this.unicast += 1;
    if (frame.vlan !== undefined) this.vlans.add(frame.vlan);
  }

  #pair(course: Course, bytes: number, seen: Sighting, frame: InnerFrame | undefined): void {
    const { from, to, sourcePort, udpPort } = course;
    const pair = this.pairs.obtain(`${from}>${to}:${udpPort}`, () => ({
      ...{ from, to, udpPort, sourcePort },
      ...{ frames: 0, bytes: 0, first: seen, last: seen },
      stations: frame && ([frame.source, frame.destination] as const),
      ...{ severalSourcePorts: false, severalStations: false },
    }));
    if (pair === undefined) return;
    pair.frames += 1;
    pair.bytes += bytes;
    pair.last = seen;
    if (pair.sourcePort !== sourcePort) pair.severalSourcePorts = true;
    if (pair.stations?.[0] !== frame?.source || pair.stations?.[1] !== frame?.destination) {
      pair.severalStations = true;
    }
  }

  #station(frame: InnerFrame, vtep: string, bytes: number, seen: Sighting): Move | undefined {
    const station = this.stations.obtain(frame.source, () => ({
      ...{ vtep, frames: 0, bytes: 0, moves: 0, first: seen, last: seen },
    }));
    if (station === undefined) return undefined;
    station.frames += 1;
    station.bytes += bytes;
    station.last = seen;
    if (station.vtep === vtep) return undefined;
    const from = station.vtep;
    station.vtep = vtep;
    station.moves += 1;
    return { ...seen, vni: this.vni, mac: frame.source, from, to: vtep };
  }
}
