import { describe, expect, it } from 'vitest';
import { errorResult } from '../../../src/cni/cniError.js';
import { routeCommand } from '../../../src/cni/containerLink.js';
import { runCni } from '../../../src/cni/main.js';
import { portName, portPrefix } from '../../../src/cni/portName.js';
import { formatResult, readResult } from '../../../src/cni/result.js';
import { requireVersion } from '../../../src/cni/version.js';
import { refusalOf } from './refusals.js';

const RESULT = {
  interfaces: [{ name: 'eth0', mac: '02:42:0a:00:00:01', mtu: 1450, sandbox: '/run/netns/x' }],
  ips: [
    { address: '10.0.0.1/24', gateway: '10.0.0.254', interface: 0 },
    { address: 'fd00::1/64', interface: 0 },
  ],
  routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254', mtu: 1400, priority: 7 }],
  dns: { nameservers: ['10.0.0.53'] },
};
const { mtu: _, ...LINK } = RESULT.interfaces[0]!;

describe('a result', () => {
  it('of version 1.1.0 tells all', () => {
    expect(formatResult('1.1.0', RESULT)).toEqual({ cniVersion: '1.1.0', ...RESULT });
  });

  it('of version 1.0.0 knows no MTU, and of a route only where it leads', () => {
    expect(formatResult('1.0.0', RESULT)).toEqual({
      cniVersion: '1.0.0',
      ...RESULT,
      interfaces: [LINK],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254' }],
    });
  });

  it.each(['0.3.1', '0.4.0'] as const)('of version %s tells the family too', (version) => {
    expect(formatResult(version, RESULT)).toEqual({
      cniVersion: version,
      interfaces: [LINK],
      ips: [
        { version: '4', address: '10.0.0.1/24', gateway: '10.0.0.254', interface: 0 },
        { version: '6', address: 'fd00::1/64', interface: 0 },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '10.0.0.254' }],
      dns: RESULT.dns,
    });
  });

  it.each(['0.3.1', '1.1.0'] as const)('of version %s is read again', (version) => {
    const again = readResult(formatResult(version, RESULT), 'it');
    expect(again.ips).toEqual(RESULT.ips);
  });

  it('may lack everything', () => {
    const empty = { interfaces: [], ips: [], routes: [], dns: {} };
    expect(readResult({ cniVersion: '1.0.0', ips: null, dns: null }, 'it')).toEqual(empty);
  });

  it.each([
    undefined,
    { ips: [{ address: '10.0.0.1' }] },
    { routes: [{ dst: '0.0.0.0/0 dev lo' }] },
    { routes: [{ dst: '10.0.0.0/8', gw: '10.0.0.1\nlink del eth0' }] },
    { routes: [{ dst: '10.0.0.0/8', mtu: 1.5 }] },
  ])('is refused as %j with code 6', (raw) => {
    expect(refusalOf(() => readResult(raw, 'it')).code).toBe(6);
  });
});

describe('an error', () => {
  it('is the object of the spec', () => {
    const error = refusalOf(() => requireVersion('0.2.0', 'ADD'));
    expect(errorResult('0.2.0', error)).toEqual({
      cniVersion: '0.2.0',
      code: 1,
      msg: expect.stringContaining('0.3.1, 0.4.0, 1.0.0, 1.1.0'),
    });
  });

  it.each([
    ['', 6],
    ['[]', 6],
    ['null', 6],
    ['{"cniVersion":1}', 6],
    ['{}', 1],
    ['{"cniVersion":"1.0.0","name":"n"}', 1],
    ['{"cniVersion":"1.1.0"}', 7],
  ])('is the answer of STATUS to %s', async (input, code) => {
    const { exitCode, output } = await runCni({ CNI_COMMAND: 'STATUS' }, input);
    expect(exitCode).toBe(1);
    expect(JSON.parse(output)).toMatchObject({ code });
  });

  it('is no answer of VERSION, whatever version it is asked in', async () => {
    const { exitCode, output } = await runCni({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"9.0.0"}');
    expect(exitCode).toBe(0);
    expect(JSON.parse(output)).toMatchObject({ cniVersion: '9.0.0' });
  });
});

it('a route is one line of `ip -batch`', () => {
  expect(routeCommand({ dst: '10.9.0.0/16' }, 'eth0')).toBe('route replace 10.9.0.0/16 dev eth0');
  const route = { dst: '::/0', gw: 'fd00::1', priority: 5, table: 9, scope: 0 };
  expect(routeCommand({ ...route, mtu: 1400, advmss: 1360 }, 'eth0')).toBe(
    'route replace ::/0 via fd00::1 dev eth0 metric 5 table 9 scope 0 mtu 1400 advmss 1360',
  );
});

it('the name of a port is of its attachment alone, and fits', () => {
  const of = (containerId: string, ifname: string) => portName('net1', { containerId, ifname });
  const long = of('c'.repeat(200), 'fifteen-letters');
  expect(long).toMatch(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/);
  expect(of('a', 'eth0')).toBe(of('a', 'eth0'));
  const same = 'sameprefix00';
  const names = [of(`${same}1`, 'eth0'), of(`${same}2`, 'eth0'), of(`${same}1`, 'eth1')];
  expect(new Set(names).size).toBe(3);
  for (const name of names) {
    expect(name.startsWith(portPrefix('net1'))).toBe(true);
    expect(name.startsWith(portPrefix('net2'))).toBe(false);
  }
});
