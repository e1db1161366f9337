import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';
import type { FakeCapture } from '../../support/fakeCapture.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

/** A daemon with a network and the page. */
async function serving() {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  const fake = await FakeDaemon.create(host);
  await fake.configure('networks: [{name: net1, vni: 300, ports: [{name: c1, netns: c1}]}]\n');
  const { page } = await fake.start({ http: { listen: { address: '127.0.0.1', port: 0 } } });
  const captured = () => host.datapath?.captured ?? [];
  return { fake, captured, url: (query: string) => `${page}v1/capture.pcapng?${query}` };
}

function running(captured: () => readonly FakeCapture[]): Promise<FakeCapture> {
  return eventually('the capture has its reader', () =>
    captured().find(({ status }) => status.state === 'running'),
  );
}

describe('a capture to download', () => {
  it('is what was asked for, whole, under a name that tells what it is', async () => {
    const { captured, url } = await serving();
    const query =
      'network=net1&port=c1&peer=&side=both&drops=true&filter=tcp+port+80&count=3&snaplen=96';
    const answer = fetch(url(query));
    const capture = await running(captured);
    expect(capture.spec).toMatchObject({
      ...{ network: 'net1', port: 'c1', side: 'both', dropsOnly: true, filter: 'tcp port 80' },
      ...{ maxPackets: 3, snaplen: 96 },
    });
    expect(capture.spec).not.toHaveProperty('peer');
    capture.send(60, 61);
    capture.send(62);
    const { status, headers } = await answer;
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('application/x-pcapng');
    expect(headers.get('content-disposition')).toMatch(
      /^attachment; filename="net1-\d{8}T\d{6}Z\.pcapng"$/,
    );
    const bytes = Buffer.from(await (await answer).arrayBuffer());
    expect(bytes.readUInt32LE(0)).toBe(0x0a0d0d0a);
    // Interface Statistics Block: the last of a whole capture.
    expect(bytes.readUInt32LE(bytes.length - bytes.readUInt32LE(bytes.length - 4))).toBe(5);
  });

  it('ends when its time is over', async () => {
    const { captured, url } = await serving();
    const answer = fetch(url('seconds=1'));
    const capture = await running(captured);
    capture.send(60);
    expect((await (await answer).arrayBuffer()).byteLength).toBeGreaterThan(60);
    expect(capture.live).toBe(false);
  });

  it('ends when the client goes', async () => {
    const { captured, url } = await serving();
    const controller = new AbortController();
    const answer = await fetch(url(''), { signal: controller.signal });
    const capture = await running(captured);
    expect(answer.status).toBe(200);
    controller.abort();
    await eventually('the capture is over', () => !capture.live);
  });

  it('does not begin for who wants its head alone', async () => {
    const { captured, url } = await serving();
    expect((await fetch(url('seconds=1'), { method: 'HEAD' })).status).toBe(404);
    expect(captured()).toEqual([]);
  });

  it('ends with the daemon', async () => {
    const { fake, captured, url } = await serving();
    const answer = await fetch(url(''));
    const capture = await running(captured);
    const body = answer.arrayBuffer().catch(() => undefined);
    await fake.stop();
    await body;
    expect(capture.live).toBe(false);
  });

  it.each([
    ['network=none', 404, 'NETWORK_UNKNOWN'],
    ['port=none', 404, 'PORT_UNKNOWN'],
    ['seconds=61', 400, 'BAD_REQUEST'],
    ['seconds=0', 400, 'BAD_REQUEST'],
    ['seconds=x', 400, 'BAD_REQUEST'],
    ['count=-1', 400, 'BAD_REQUEST'],
    ['side=up', 400, 'BAD_REQUEST'],
    ['drops=1', 400, 'BAD_REQUEST'],
    ['file=/etc/passwd', 400, 'BAD_REQUEST'],
    ['peer=224.0.0.1', 400, 'BAD_REQUEST'],
  ])('with %s is refused', async (query, status, code) => {
    const { captured, url } = await serving();
    const answer = await fetch(url(query));
    expect([answer.status, await answer.json()]).toMatchObject([status, { code }]);
    expect(captured()).toEqual([]);
  });
});
