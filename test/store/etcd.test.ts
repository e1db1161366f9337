import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll } from 'vitest';
import { EtcdCluster } from '../support/etcd.js';
import { fileScope } from '../support/testScope.js';
import { contract, contractBesideOthers } from './contract.js';
import { openRemote } from './remote.js';

const scope = fileScope();
let cluster: EtcdCluster;
beforeAll(async () => {
  cluster = await EtcdCluster.start(scope, { members: 3 });
}, 60_000);

const engine = {
  open: async (prefix: string) => await openRemote(scope, cluster.url(prefix)),
  pass: async (secs: number) => await delay(secs * 1000),
  others: {
    put: async (key: string, value: Buffer) => {
      await cluster.control(['put', `${key}`], { input: value });
    },
    get: async (key: string) => {
      const { kvs } = JSON.parse(await cluster.control(['get', key, '-w', 'json']));
      return Buffer.from(kvs[0].value, 'base64');
    },
  },
};
contract('etcd', () => engine);
contractBesideOthers('etcd', () => engine);
