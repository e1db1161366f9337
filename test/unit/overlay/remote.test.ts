import { describe, expect, it } from 'vitest';
import { networkSchema } from '../../../src/config/networkSchema.js';
import { remoteOf } from '../../../src/overlay/remote.js';
import { EMPTY_STATE, type SharedHost, type SharedState } from '../../../src/overlay/shared.js';
import type { EndpointRecord } from '../../../src/store/records.js';

const SELF = '10.200.0.1';
const host = (last: number, more: Partial<SharedHost> = {}): SharedHost => ({
  address: `10.200.0.${last}`,
  port: 4789,
  name: `h${last}`,
  state: 'live',
  heard: true,
  ...more,
});
const endpoint = (
  last: number,
  mac: string,
  more: Partial<EndpointRecord> = {},
): EndpointRecord => ({
  version: 1,
  host: `10.200.0.${last}`,
  mac: `02:00:00:00:00:${mac}`,
  addresses: [`10.0.0.${Number.parseInt(mac, 16)}/24`],
  aliases: [],
  ...more,
});

function stateOf(
  hosts: readonly SharedHost[],
  endpoints: Record<string, EndpointRecord>,
  udpPort?: number,
): SharedState {
  const network = networkSchema.parse({ name: 'n', vni: 256, ...(udpPort && { port: udpPort }) });
  return {
    ...EMPTY_STATE,
    hosts: new Map(hosts.map((item) => [item.address, item])),
    networks: new Map([['n', { version: 1, id: 'i', network, pools: [], owner: 'people' }]]),
    endpoints: new Map([['n', new Map(Object.entries(endpoints))]]),
  };
}

describe('the remote side of a network', () => {
  it('is its other hosts with endpoints, what is behind them, and what is here', () => {
    const state = stateOf([host(1), host(2), host(3)], {
      a: endpoint(1, '01'),
      b: endpoint(2, '02', { addresses: ['10.0.0.2/24', 'fd00::2/64'] }),
    });
    expect(remoteOf(state, 'n', SELF)).toEqual({
      vteps: [{ address: '10.200.0.2', udpPort: 4789 }],
      stations: [
        {
          mac: '02:00:00:00:00:02',
          ips: ['10.0.0.2', 'fd00::2'],
          ...{ vtep: '10.200.0.2', udpPort: 4789, state: 'live' },
        },
      ],
      local: [{ mac: '02:00:00:00:00:01', ips: ['10.0.0.1'] }],
    });
    expect(remoteOf(state, 'other', SELF)).toEqual({ vteps: [], stations: [], local: [] });
  });

  it('has the UDP port of the network, else of the host', () => {
    const hosts = [host(2, { port: 4790 })];
    const portOf = (udpPort?: number) => {
      const view = remoteOf(stateOf(hosts, { b: endpoint(2, '02') }, udpPort), 'n', SELF);
      return [view.vteps[0]?.udpPort, view.stations[0]?.udpPort];
    };
    expect(portOf()).toEqual([4790, 4790]);
    expect(portOf(8472)).toEqual([8472, 8472]);
  });

  it('[K204] floods to a host that was lost not long ago, and calls its stations dead', () => {
    const view = (heard: boolean) =>
      remoteOf(stateOf([host(2, { state: 'lost', heard })], { b: endpoint(2, '02') }), 'n', SELF);
    expect(view(true).vteps.map(({ address }) => address)).toEqual(['10.200.0.2']);
    expect(view(true).stations.map(({ state }) => state)).toEqual(['dead']);
    expect(view(false).vteps).toEqual([]);
    expect(view(false).stations.map(({ state }) => state)).toEqual(['dead']);
  });

  it('gives a MAC or an address that is there twice to this host, else to a live one', () => {
    const twin = (last: number) => endpoint(last, '07');
    const lost = host(2, { state: 'lost' });
    const moved = stateOf([lost, host(3)], { a: twin(2), b: twin(3) });
    expect(remoteOf(moved, 'n', SELF).stations).toMatchObject([{ vtep: '10.200.0.3' }]);
    const here = stateOf([host(1), host(3)], { a: twin(3), b: twin(1) });
    expect(remoteOf(here, 'n', SELF)).toMatchObject({ stations: [], local: [twinStation] });
    const address = stateOf([lost, host(3)], {
      a: endpoint(2, '08', { addresses: twin(3).addresses }),
      b: twin(3),
    });
    expect(remoteOf(address, 'n', SELF).stations).toMatchObject([
      { vtep: '10.200.0.3', ips: ['10.0.0.7'] },
      { vtep: '10.200.0.2', ips: [] },
    ]);
  });

  const twinStation = { mac: '02:00:00:00:00:07', ips: ['10.0.0.7'] };
});
