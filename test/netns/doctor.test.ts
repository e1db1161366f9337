/**
 * doctor on a host where something is really in the way, and on one without rights.
 *
 *   one: 10.200.0.1 on und0, in which each test puts something that it takes away again
 */

import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DoctorView } from '../../src/control/views.js';
import type { Namespace } from '../support/netns.js';
import { Scope } from '../support/scope.js';
import { fileScope } from '../support/testScope.js';
import { createUnderlay, type Host, UNDERLAY_IFNAME } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

const PROGRAM = fileURLToPath(new URL('../../dist/bin/vswitchd.js', import.meta.url));
const CTL = fileURLToPath(new URL('../../dist/bin/vswitchctl.js', import.meta.url));

const scope = fileScope();
let host: Host;
let one: Namespace;

beforeAll(async () => {
  const underlay = await createUnderlay(scope, { hosts: ['one'] });
  host = underlay.hosts[0]!;
  one = host.namespace;
});

interface Examined {
  readonly report: DoctorView;
  readonly exitCode: number | undefined;
}

/** `vswitchd --doctor` with our address; `prefix` stands before it. */
async function examine(...prefix: readonly string[]): Promise<Examined> {
  const words = [process.execPath, PROGRAM, '--doctor', '--json', '--vtep', host.address[4]];
  const [command = '', ...args] = [...prefix, ...words];
  const { stdout, stderr, exitCode } = await one.tryExec(command, args);
  expect(stderr).toBe('');
  return { report: JSON.parse(stdout) as DoctorView, exitCode };
}

function check({ checks }: DoctorView, name: string): DoctorView['checks'][number] {
  const found = checks.find((item) => item.name === name);
  if (found === undefined) throw new Error(`no check ${name}`);
  return found;
}

/** Runs `body` and undoes what it deferred. */
async function within(body: (inner: Scope) => Promise<void>): Promise<void> {
  const inner = new Scope();
  try {
    await body(inner);
  } finally {
    await inner.close();
  }
}

test('a host with nothing in the way is ready', async () => {
  await one.sysctl({ 'ipv4/conf/all/rp_filter': 0, [`ipv4/conf/${UNDERLAY_IFNAME}/rp_filter`]: 0 });
  const { report, exitCode } = await examine();
  expect([report.verdict, exitCode]).toEqual(['ready', 0]);
  expect(check(report, `VTEP ${host.address[4]}`)).toMatchObject({
    detail: `${UNDERLAY_IFNAME}, MTU 1500: containers get 1450`,
  });
  for (const name of [
    'UDP port 4789',
    'rp_filter',
    'firewall',
    'packet',
    'packet_vnet_hdr',
    'veth',
  ])
    expect(check(report, name)).toMatchObject({ state: 'ok' });
  expect(check(report, 'UDP port 4789').detail).toBe('free');
});

test('[N233] a process on our UDP port is named', async () => {
  await within(async (inner) => {
    const script = "require('dgram').createSocket('udp4').bind(4789, () => console.log('bound'))";
    const holder = await one.spawn(inner, { command: process.execPath, args: ['-e', script] });
    await holder.waitForLine(/bound/);
    const { report, exitCode } = await examine();
    expect(check(report, 'UDP port 4789')).toMatchObject({
      state: 'missing',
      detail: expect.stringMatching(new RegExp(`^held by .+, process ${holder.pid}$`)),
    });
    expect([report.verdict, exitCode]).toEqual(['not ready', 1]);
  });
});

test('a kernel vxlan device on our UDP port is named', async () => {
  await within(async (inner) => {
    await one.ip(
      'link add name doc7 type vxlan id 7 dstport 4789 local 10.200.0.1\nlink set dev doc7 up',
    );
    await inner.defer('doc7', () => one.ip('link delete dev doc7'));
    const { report } = await examine();
    expect(check(report, 'UDP port 4789')).toMatchObject({
      state: 'missing',
      detail: 'kernel vxlan device doc7 (VNI 7) has it',
      fix: expect.stringContaining('ip link delete doc7'),
    });
  });
});

describe('a firewall', () => {
  /** The firewall's line with this ruleset loaded. */
  async function judged(ruleset: string): Promise<DoctorView['checks'][number]> {
    let found: DoctorView['checks'][number] | undefined;
    await within(async (inner) => {
      await one.exec('nft', ['-f', '-'], { input: ruleset });
      await inner.defer('the ruleset', () => one.exec('nft', ['flush', 'ruleset']));
      found = check((await examine()).report, 'firewall');
    });
    return found!;
  }

  test('that drops our UDP port is told with its rule', async () => {
    const ruleset = `table inet fw {
    chain input { type filter hook input priority 0;
      ct state established,related accept
      udp dport { 53, 4789 } drop comment "no tunnels"
    }
    }`;
    expect(await judged(ruleset)).toMatchObject({
      state: 'missing',
      detail: expect.stringMatching(
        /^nft rule inet fw input handle \d+ "no tunnels" drops UDP port 4789/,
      ),
    });
  });

  test('that allows it is well', async () => {
    const ruleset = `table inet fw {
    chain input { type filter hook input priority 0; policy drop;
      ct state established,related accept
      iifname "lo" accept
      udp dport 4789 accept
    }
    }`;
    expect(await judged(ruleset)).toMatchObject({ state: 'ok' });
  });

  test('that allows some is not judged', async () => {
    const ruleset = `table inet fw {
    chain input { type filter hook input priority 0; policy drop;
      ip saddr 10.200.0.0/24 udp dport 4789 accept
    }
    }`;
    expect(await judged(ruleset)).toMatchObject({ state: 'unknown' });
  });
});

test('strict rp_filter is told', async () => {
  const sysctl = `ipv4/conf/${UNDERLAY_IFNAME}/rp_filter`;
  await within(async (inner) => {
    await one.sysctl({ [sysctl]: 1 });
    await inner.defer(sysctl, () => one.sysctl({ [sysctl]: 0 }));
    const { report } = await examine();
    expect(check(report, 'rp_filter')).toMatchObject({
      state: 'warning',
      detail: `${UNDERLAY_IFNAME}: strict`,
      fix: expect.stringContaining('rp_filter=2'),
    });
    expect(report.verdict).toBe('ready');
  });
});

test('an ordinary user gets a whole page, with what is possible without rights', async () => {
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all'];
  const { report } = await examine('setpriv', ...nobody, '--bounding-set=-all');
  for (const name of ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN', 'CAP_NET_RAW', 'packet', 'veth'])
    expect(check(report, name).ok).toBe(false);
  expect(check(report, 'firewall')).toMatchObject({
    state: 'unknown',
    detail: expect.stringMatching(/^could not be read: /),
  });
  const openToAll = ((await stat('/dev/net/tun')).mode & 0o006) === 0o006;
  const rootless = openToAll && check(report, 'user namespaces').ok;
  expect(report.verdict).toBe(rootless ? 'ready for rootless ports' : 'not ready');
});

test('a daemon that runs tells of itself, and vswitchctl of the machine where none does', async () => {
  await within(async (inner) => {
    const vswitchd = await Vswitchd.start(inner, host, { networks: [{ name: 'net', vni: 7 }] });
    const report = await vswitchd.ctl<DoctorView>('doctor');
    expect(check(report, 'UDP port 4789')).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining(`process ${vswitchd.pid}`),
    });
  });
  const nowhere = ['--socket', '/nonexistent/control.sock'];
  const args = [CTL, ...nowhere, '--json', 'doctor'];
  const { stdout, exitCode } = await one.tryExec(process.execPath, args);
  expect([JSON.parse(stdout).verdict, exitCode]).toEqual(['ready', 0]);
  const page = await one.tryExec(process.execPath, [CTL, ...nowhere, 'doctor']);
  expect(page.stderr).toContain('No vswitchd answers on /nonexistent/control.sock');
  const lines = page.stdout.split('\n');
  expect(lines.length).toBeLessThanOrEqual(45);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
});
