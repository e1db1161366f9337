/** Facts judged: what is missing, what it costs, what to do. */

import { describe, expect, it } from 'vitest';
import { doctorText } from '../../../../src/cli/doctorText.js';
import type { DoctorView } from '../../../../src/control/views.js';
import type { Facts, Purpose } from '../../../../src/daemon/doctor/facts.js';
import { diagnose } from '../../../../src/daemon/doctor/report.js';
import type { Probe } from '../../../../src/datapath/seam.js';
import { factsOf } from '../../../support/fakeMachine.js';

const sound = factsOf();

function probed(changes: Partial<Probe>, without: readonly string[] = []): Facts['probe'] {
  if (!('value' in sound.probe)) throw new Error('no probe');
  const facilities = sound.probe.value.facilities.map((item) => ({
    ...item,
    available: !without.includes(item.name),
  }));
  return { value: { ...sound.probe.value, facilities, ...changes } };
}

function purpose(changes: Partial<Purpose>): Partial<Facts> {
  return { purpose: { ...sound.purpose, ...changes } };
}

/** The report's line of this name. */
function line(report: DoctorView, name: string) {
  const found = report.checks.find((check) => check.name === name);
  if (found === undefined) throw new Error(`no check ${name}`);
  return found;
}

const judge = (changes: Partial<Facts>, name: string) => line(diagnose(factsOf(changes)), name);

const NO_TAPS: Partial<Facts> = {
  probe: probed({
    tun: false,
    netAdmin: false,
    tunError: JSON.stringify({ code: 'NO_TUN', subject: 'TAP', syscall: 'open', errno: 19 }),
  }),
};

describe('the report', () => {
  it('is content with a machine that lacks nothing', () => {
    const report = diagnose(sound);
    expect(report).toMatchObject({ ready: true, verdict: 'ready' });
    expect(report.checks.filter((check) => check.state !== 'ok')).toEqual([]);
    expect(report.checks.filter((check) => check.fix !== undefined)).toEqual([]);
  });

  it('keeps groups together', () => {
    const groups = diagnose(sound).checks.map(({ group }) => group);
    const changes = groups.filter((group, at) => group !== groups[at - 1]);
    expect(changes).toEqual([...new Set(groups)]);
  });

  it('is a whole page though nothing can be read', () => {
    const unread = { unread: 'EACCES' };
    const report = diagnose(
      factsOf({
        ...{ capabilities: unread, userNamespaces: unread, tunMode: unread, rpFilter: unread },
        ...{ receiveBufferMax: unread, holders: unread, firewall: unread, linkFiles: unread },
        ...{ kernelVxlan: unread, probe: { unread: 'GLIBC_2.28 not found' } },
      }),
    );
    expect(report.verdict).toBe('not ready');
    expect(line(report, 'addon')).toMatchObject({
      state: 'missing',
      detail: 'GLIBC_2.28 not found',
    });
    expect(line(report, 'capabilities')).toMatchObject({
      state: 'unknown',
      detail: 'could not be read: EACCES',
    });
  });
});

describe('the verdict', () => {
  it.each([
    [['veth'], 0o666, 'ready for rootless and packet ports'],
    [['packet'], 0o666, 'ready for rootless ports'],
    [[], 0o600, 'ready for packet ports'],
    [['packet'], 0o600, 'not ready'],
  ])('without TAPs, without %j, /dev/net/tun %o: %s', (without, mode, verdict) => {
    const { tun, netAdmin } = { tun: false, netAdmin: false };
    const report = diagnose(
      factsOf({ probe: probed({ tun, netAdmin }, without), tunMode: { value: mode } }),
    );
    expect(report).toMatchObject({ verdict, ready: verdict !== 'not ready' });
  });

  it('is no where the configuration has TAPs that cannot be made', () => {
    const report = diagnose(factsOf({ ...NO_TAPS, ...purpose({ makesTaps: true }) }));
    expect(report).toMatchObject({ verdict: 'not ready', ready: false });
    const missing = report.checks.filter((check) => check.state === 'missing');
    expect(missing.map(({ name }) => name)).toEqual(['CAP_NET_ADMIN', '/dev/net/tun']);
    for (const check of missing)
      expect(check).toMatchObject({
        needed: true,
        why: expect.any(String),
        fix: expect.any(String),
      });
  });

  it('is no where the configuration has packet ports and no packet socket opens', () => {
    const probe = probed({}, ['packet']);
    expect(diagnose(factsOf({ probe })).ready).toBe(true);
    const report = diagnose(factsOf({ probe, ...purpose({ opensPackets: true }) }));
    expect(report.ready).toBe(false);
    expect(line(report, 'packet')).toMatchObject({ state: 'missing', needed: true });
  });

  it.each([
    [{ most: 0 }, 'max_user_namespaces'],
    [{ most: 9, unprivileged: 0 }, 'unprivileged_userns_clone=1'],
    [{ most: 9, restricted: 1 }, 'apparmor_restrict_unprivileged_userns=0'],
    [{}, 'CONFIG_USER_NS'],
  ])('user namespaces %j need %s', (value, fix) => {
    const check = judge({ userNamespaces: { value } }, 'user namespaces');
    expect(check).toMatchObject({ state: 'without', fix: expect.stringContaining(fix) });
  });
});

describe('ports', () => {
  it('tells a NAS owner of insmod', () => {
    expect(judge(NO_TAPS, '/dev/net/tun')).toMatchObject({
      state: 'without',
      detail: 'open ENODEV',
      fix: expect.stringContaining('insmod /lib/modules/tun.ko'),
    });
  });

  it('what was tried without rights is not blamed on the kernel', () => {
    const detail = 'NO_NET_ADMIN: TAP: TUNSETIFF: Operation not permitted (os error 1)';
    const facilities = [{ name: 'tso', available: false, detail }];
    const check = judge({ probe: probed({ facilities }) }, 'tso');
    expect(check).toMatchObject({ state: 'unknown', detail: 'could not be tried without rights' });
    expect(check.fix).toBeUndefined();
  });

  it('a large receive buffer without the right to exceed the limit is as good', () => {
    const probe = probed({}, ['rcvbuf_force']);
    const limited = (value: number) =>
      judge({ probe, receiveBufferMax: { value } }, 'rcvbuf_force');
    expect(limited(212_992)).toMatchObject({
      state: 'without',
      detail: expect.stringContaining('212992'),
    });
    expect(limited(16 << 20).state).toBe('ok');
  });
});

describe('the underlay', () => {
  it('without our address nothing works', () => {
    const check = judge({ probe: probed({ interfaces: [] }) }, 'VTEP 10.200.0.1');
    expect(check).toMatchObject({ state: 'missing', fix: expect.stringContaining('vtep.address') });
  });

  it.each([
    ['node vswitchd.js', 'ok'],
    ['dockerd', 'missing'],
  ])('our UDP port held by %s: %s', (command, state) => {
    const holder = { port: 4789, everywhere: true, process: { pid: '77', command } };
    const check = judge({ holders: { value: [holder] } }, 'UDP port 4789');
    expect(check).toMatchObject({ state, detail: `held by ${command}, process 77` });
  });

  it('warns of kernel vxlan devices on our port alone', () => {
    const device = (ifname: string, udpPort: number, up: boolean) => ({
      ifname,
      vni: 1,
      udpPort,
      up,
    });
    const probe = probed({ vxlanDevices: [device('v1', 4789, true), device('v2', 8472, true)] });
    expect(judge({ probe }, 'UDP port 4789')).toMatchObject({
      state: 'missing',
      fix: expect.stringContaining('ip link delete v1'),
    });
    expect(judge({ probe }, 'UDP port 8472')).toMatchObject({ state: 'ok' });
    const down = probed({ vxlanDevices: [device('v1', 4789, false)] });
    expect(judge({ probe: down }, 'UDP port 4789').state).toBe('warning');
  });

  it.each([
    [0, 'ok', 'off'],
    [1, 'warning', 'strict'],
    [2, 'ok', 'loose'],
  ])('rp_filter %d: %s', (value, state, word) => {
    const check = judge({ rpFilter: { value: new Map([['eth0', value]]) } }, 'rp_filter');
    expect(check).toMatchObject({ state, detail: `eth0: ${word}` });
  });

  it('names a path that carries less than the interface', () => {
    const peers = [{ address: '10.200.0.2', pathMtu: 1400 }, { address: '10.200.0.3' }];
    const report = diagnose(factsOf(purpose({ peers })));
    expect(line(report, 'path to 10.200.0.2')).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('1400'),
    });
    expect(report.ready).toBe(true);
  });
});

describe('the system', () => {
  it('names the file that gives TAPs another MAC', () => {
    const path = '/usr/lib/systemd/network/99-default.link';
    const text = '[Match]\nOriginalName=*\n[Link]\nMACAddressPolicy=persistent\n';
    const check = judge({ linkFiles: { value: [{ path, text }] } }, 'TAP MACs');
    expect(check).toMatchObject({ state: 'warning', detail: expect.stringContaining(path) });
  });
});

describe('the page', () => {
  it('is no wider than the terminal, and keeps what is to do', () => {
    const report = diagnose(factsOf({ ...NO_TAPS, ...purpose({ makesTaps: true }) }));
    for (const columns of [70, 80, 100]) {
      const text = doctorText(report, columns);
      expect(Math.max(...text.split('\n').map((one) => one.length))).toBeLessThanOrEqual(columns);
      expect(text).toMatch(/^MISSING +\/dev\/net\/tun +open ENODEV/m);
      expect(text).toContain('fix: `modprobe tun`');
      expect(text).toMatch(/not ready: something that is needed is missing\.$/);
    }
  });
});
