/** What happens to a store in etcd when its members, certificates and users are in trouble. */

import { beforeAll, describe, expect, it } from 'vitest';
import { STORE_PATIENCE_MS, type Store } from '../../src/store/store.js';
import { type Certificates, makeCertificates } from '../support/certificates.js';
import { EtcdCluster } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { makeFile } from '../support/files.js';
import { freePorts } from '../support/ports.js';
import { fileScope, testScope } from '../support/testScope.js';
import { freshPrefix } from './contract.js';
import { Mirror, valuesOf } from './mirror.js';
import { openRemote } from './remote.js';

const DOWN = { code: 'STORE_DOWN' };
const DENIED = { code: 'STORE_DENIED' };
const writes = [{ key: 'a', value: '1' }];
const put = (store: Store, key: string) =>
  store.commit({ conditions: [], writes: [{ key, value: 'v' }] });

describe('three members', () => {
  it('lose no acknowledged write when the leader is killed, and watchers miss none', async () => {
    const scope = testScope();
    const cluster = await EtcdCluster.start(scope, { members: 3 });
    const prefix = freshPrefix();
    const [writer, other] = [
      await openRemote(scope, cluster.url(prefix)),
      await openRemote(scope, cluster.url(prefix)),
    ];
    const follower = await Mirror.keep(scope, other);
    const acknowledged: string[] = [];
    let failures = 0;
    let done = false;
    const work = (async () => {
      for (let at = 0; !done; at += 1) {
        try {
          if (await put(writer, `k${at}`)) acknowledged.push(`k${at}`);
        } catch (error) {
          expect(error).toMatchObject(DOWN);
          failures += 1;
        }
      }
    })();
    await eventually('some writes', () => acknowledged.length > 50);
    await (await cluster.leader())?.kill();
    const before = acknowledged.length;
    await eventually('more writes', () => acknowledged.length > before + 50, { within: 20_000 });
    done = true;
    await work;
    const { entries } = await eventually('an answer', () => writer.snapshot());
    expect(Object.keys(valuesOf(entries))).toEqual(expect.arrayContaining(acknowledged));
    await eventually('the follower', () => {
      expect(follower.current()?.entries).toEqual(entries);
      return true;
    });
    expect(failures).toBeLessThan(10);
  });

  it('are as good as one when the other two are gone from the list', async () => {
    const scope = testScope();
    const cluster = await EtcdCluster.start(scope, { members: 1 });
    const [dead, alsoDead] = await freePorts(2);
    const address = cluster.members[0]?.address;
    const url = `etcd://127.0.0.1:${dead},${address},127.0.0.1:${alsoDead}/p`;
    const store = await openRemote(scope, url);
    expect(await store.commit({ conditions: [], writes })).toBe(true);
    expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1' });
    await Mirror.start(scope, store);
  });

  it('without a quorum are told in time, and serve again when it is back', async () => {
    const scope = testScope();
    const cluster = await EtcdCluster.start(scope, { members: 3 });
    const store = await openRemote(scope, cluster.url('p'));
    await store.commit({ conditions: [], writes });
    const mirror = await Mirror.start(scope, store);
    const [first, second] = cluster.members;
    await first?.kill();
    await second?.kill();
    const took = async (work: Promise<unknown>) => {
      const began = Date.now();
      await expect(work).rejects.toMatchObject(DOWN);
      return Date.now() - began;
    };
    const slack = 1_000;
    expect(await took(put(store, 'b'))).toBeLessThan(STORE_PATIENCE_MS + slack);
    expect(await took(store.snapshot())).toBeLessThan(STORE_PATIENCE_MS + slack);
    expect(await took(store.grant(10))).toBeLessThan(STORE_PATIENCE_MS + slack);
    expect(await mirror.ended).toMatchObject(DOWN);
    await first?.start();
    const { entries } = await eventually('a quorum', () => store.snapshot(), { within: 20_000 });
    expect(entries.get('a')?.value).toBe('1');
    const again = await Mirror.start(scope, store);
    await put(store, 'c');
    await eventually('a change', () => again.entries.has('c'));
  });

  it('are told when the one that we use stands still, and another takes its place', async () => {
    const scope = testScope();
    const cluster = await EtcdCluster.start(scope, { members: 3 });
    const leader = await cluster.leader();
    const still = cluster.members.find((member) => member !== leader);
    const others = cluster.members.filter((member) => member !== still);
    const addresses = [still, ...others].map((member) => member?.address);
    const store = await openRemote(scope, `etcd://${addresses.join(',')}/p`);
    const mirror = await Mirror.start(scope, store);
    still?.child.signal('SIGSTOP');
    expect(await mirror.ended).toMatchObject(DOWN);
    const again = await Mirror.start(scope, store);
    expect(await put(store, 'b')).toBe(true);
    await eventually('a change', () => again.entries.has('b'));
  });
});

describe('one member', () => {
  const scope = fileScope();
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await EtcdCluster.start(scope, { members: 1 });
  }, 60_000);

  it('that stands still is told in time, and serves again when it goes on', async () => {
    const own = testScope();
    const store = await openRemote(own, cluster.url(freshPrefix()));
    await store.commit({ conditions: [], writes });
    const mirror = await Mirror.start(own, store);
    const member = cluster.members[0]!;
    await own.defer('standstill', () => member.child.signal('SIGCONT'));
    member.child.signal('SIGSTOP');
    const began = Date.now();
    await expect(put(store, 'b')).rejects.toMatchObject(DOWN);
    expect(Date.now() - began).toBeLessThan(STORE_PATIENCE_MS + 1_000);
    expect(await mirror.ended).toMatchObject(DOWN);
    expect(Date.now() - began).toBeLessThan(12_000);
    member.child.signal('SIGCONT');
    const { entries } = await eventually('an answer', () => store.snapshot());
    expect(entries.get('a')?.value).toBe('1');
  });

  it('that is restarted serves again, to the same store object', async () => {
    const own = testScope();
    const store = await openRemote(own, cluster.url(freshPrefix()));
    await store.commit({ conditions: [], writes });
    const mirror = await Mirror.start(own, store);
    await cluster.members[0]?.kill();
    expect(await mirror.ended).toMatchObject(DOWN);
    await expect(store.snapshot()).rejects.toMatchObject(DOWN);
    await cluster.members[0]?.start();
    const { entries } = await eventually('an answer', () => store.snapshot());
    expect(valuesOf(entries)).toEqual({ a: '1' });
  });

  it('that has forgotten a revision says so, and a new snapshot is the way on', async () => {
    const own = testScope();
    const store = await openRemote(own, cluster.url(freshPrefix()));
    const past = await store.snapshot();
    for (const key of ['a', 'b', 'c']) await put(store, key);
    const { revision } = await store.snapshot();
    await cluster.control(['compact', revision]);
    const lost = await Mirror.start(own, store, past);
    expect(await lost.ended).toMatchObject({ code: 'STORE_COMPACTED' });
    const mirror = await Mirror.start(own, store);
    await put(store, 'd');
    await eventually('a change', () => mirror.entries.has('d'));
  });

  it('refuses what is too large for it in its own words', async () => {
    const store = await openRemote(testScope(), cluster.url(freshPrefix()));
    const large = Array.from({ length: 10 }, (_, at) => ({
      key: `k${at}`,
      value: 'x'.repeat(250_000),
    }));
    await expect(store.commit({ conditions: [], writes: large })).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      facts: { detail: expect.stringContaining('larger than max') },
    });
  });

  it('is not there: told at once, with the reason', async () => {
    const [port] = await freePorts(1);
    const store = await openRemote(testScope(), `etcd://127.0.0.1:${port}`);
    const refused = { ...DOWN, facts: { detail: expect.stringContaining('ECONNREFUSED') } };
    await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject(refused);
    await expect(
      store.watch({ revision: '1', entries: new Map() }, () => {}, new AbortController().signal),
    ).rejects.toMatchObject(refused);
  });
});

describe('TLS', () => {
  const scope = fileScope();
  let ours: Certificates;
  let others: Certificates;
  let cluster: EtcdCluster;
  beforeAll(async () => {
    [ours, others] = [await makeCertificates(scope), await makeCertificates(scope)];
    cluster = await EtcdCluster.start(scope, { members: 1, tls: ours });
  }, 60_000);
  const open = async (files: object) =>
    await openRemote(testScope(), { url: cluster.url('p'), ...files });

  it('lets in whose certificate is trusted, and trusts', async () => {
    const store = await open({ ca: ours.ca, ...ours.client });
    expect(await store.commit({ conditions: [], writes })).toBe(true);
    expect(valuesOf((await store.snapshot()).entries)).toEqual({ a: '1' });
  });

  it.each([
    ['a certificate that another authority signed', () => ({ ca: ours.ca, ...others.client })],
    ['no certificate', () => ({ ca: ours.ca })],
    ['an authority that did not sign theirs', () => ({ ca: others.ca, ...ours.client })],
    ["the system's authorities", () => ours.client],
  ])('refuses %s', async (_, files) => {
    const store = await open(files());
    await expect(store.snapshot()).rejects.toMatchObject(DENIED);
    await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject(DENIED);
  });

  it('gives no answer to whom has none', async () => {
    await expect((await open({})).snapshot()).rejects.toMatchObject(DOWN);
  });

  it('needs files that are there, and certificates that are some', async () => {
    await expect(open({ ca: '/nowhere/ca.pem' })).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      subject: '/nowhere/ca.pem',
    });
    const text = await makeFile(testScope(), 'no certificate');
    await expect(open({ ca: ours.ca, cert: text, key: text })).rejects.toMatchObject(DENIED);
  });
});

describe('users', () => {
  const scope = fileScope();
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await EtcdCluster.start(scope, { members: 1 });
    const control = (line: string) => cluster.control(line.split(' '));
    await control('user add root:rootpw');
    await control('user add switch:secret');
    await control('role add switches');
    await control('role grant-permission switches readwrite --prefix=true ours/');
    await control('user grant-role switch switches');
    await control('auth enable');
  }, 60_000);
  const open = async (prefix: string, user?: string, password = 'secret\n') => {
    const own = testScope();
    const password_file = await makeFile(own, password);
    return await openRemote(own, {
      url: cluster.url(prefix),
      ...(user !== undefined && { user, password_file }),
    });
  };

  it('are let in with their password, to their prefix', async () => {
    const store = await open('ours', 'switch');
    const mirror = await Mirror.start(testScope(), store);
    expect(await store.commit({ conditions: [], writes })).toBe(true);
    await eventually('a change', () => mirror.entries.has('a'));
    const lease = await store.grant(10);
    expect(await store.renew(lease)).toBe(true);
    await store.revoke(lease);
  });

  it.each([
    ['with another password', 'ours', 'switch', 'wrong'],
    ['who are unknown', 'ours', 'stranger', 'secret'],
    ['without a name', 'ours', undefined, ''],
    ['at another prefix', 'theirs', 'switch', 'secret'],
  ])('%s are denied', async (_, prefix, user, password) => {
    const store = await open(prefix, user, password);
    await expect(store.snapshot()).rejects.toMatchObject(DENIED);
    await expect(store.commit({ conditions: [], writes })).rejects.toMatchObject(DENIED);
    const lost = { revision: '1', entries: new Map() };
    await expect(store.watch(lost, () => {}, new AbortController().signal)).rejects.toMatchObject(
      DENIED,
    );
  });

  it('are let in again when etcd has forgotten who they are', async () => {
    const store = await open('ours', 'switch');
    await store.snapshot();
    await cluster.members[0]?.kill();
    await cluster.members[0]?.start();
    await eventually('an answer', () => store.snapshot());
    await cluster.control(['--user', 'root:rootpw', 'user', 'add', 'one-more:pw']);
    expect(await store.commit({ conditions: [], writes })).toBe(true);
  });

  it('are needless where etcd knows none', async () => {
    const own = testScope();
    const open = await EtcdCluster.start(own, { members: 1 });
    const password_file = await makeFile(own, 'secret');
    const store = await openRemote(own, { url: open.url('p'), user: 'switch', password_file });
    expect(await store.commit({ conditions: [], writes })).toBe(true);
  });
});
