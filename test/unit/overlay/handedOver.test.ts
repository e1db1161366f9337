// Ports whose TAPs were handed over, after a restart of vswitchd.

import { describe, expect, it } from 'vitest';
import { portSchema } from '../../../src/config/networkSchema.js';
import type { Port } from '../../../src/model/network.js';
import { FakeOverlay } from '../../support/fakeOverlay.js';

const NETWORKS = [{ name: 'net', vni: 300 }];
const PLACE = { mac: '02:42:0a:00:00:09', mtu: 1300, addresses: ['10.0.0.9/24'] };

const add = (fake: FakeOverlay, ticket: string, settings: object = {}): Promise<Port> =>
  fake.ports.add('net', {
    ...portSchema.parse({ name: 'p', ...settings }),
    handover: ticket.repeat(32),
  });

/** With port `p`, whose TAP an earlier run had. */
async function restarted(): Promise<FakeOverlay> {
  const first = await FakeOverlay.started(NETWORKS);
  await add(first, 'a', PLACE);
  const fake = new FakeOverlay(NETWORKS, first.saved);
  fake.host.broken.set('p', 'HANDOVER_GONE');
  await fake.overlay.start();
  expect(fake.overlay.portCondition('p')).toMatchObject({ code: 'HANDOVER_GONE' });
  fake.host.broken.clear();
  return fake;
}

describe('a port whose TAP is gone', () => {
  it('is what it was once its container is attached again', async () => {
    const fake = await restarted();
    await add(fake, 'b');
    expect(fake.saved.ports).toMatchObject([{ port: { ...PLACE, handover: 'b'.repeat(32) } }]);
    expect(fake.overlay.portCondition('p')).toMatchObject({ state: 'attached' });
    await fake.overlay.stop();
  });

  it('is otherwise where that is said', async () => {
    const fake = await restarted();
    await add(fake, 'b', { addresses: ['10.0.0.8/24'] });
    const { mac, mtu } = PLACE;
    expect(fake.saved.ports).toMatchObject([{ port: { mac, mtu, addresses: ['10.0.0.8/24'] } }]);
    await fake.overlay.stop();
  });

  it('keeps its name from ports that nobody hands over', async () => {
    const fake = await restarted();
    await expect(fake.addPort('net', { name: 'p' })).rejects.toMatchObject({ code: 'PORT_EXISTS' });
    await fake.overlay.stop();
  });
});

it('without a MAC a port gets one of its address, to have the same after a restart', async () => {
  const fake = await FakeOverlay.started(NETWORKS);
  await add(fake, 'a', { addresses: ['10.0.0.9/24'] });
  expect(fake.saved.ports).toMatchObject([{ port: { mac: '02:42:0a:00:00:09' } }]);
});

it('a port whose TAP is there is nobody else to replace', async () => {
  const fake = await FakeOverlay.started(NETWORKS);
  await add(fake, 'a', PLACE);
  await expect(add(fake, 'b')).rejects.toMatchObject({ code: 'PORT_EXISTS' });
});
