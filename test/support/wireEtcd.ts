/** An etcd of one member on the wire that joins the hosts of a test, for all of them to share. */

import type { Child } from './child.js';
import { type Namespace, temporaryDirectory } from './netns.js';
import type { Scope } from './scope.js';

export const STORE_ADDRESS = '10.200.0.200';

/** As in a `store` setting. */
export const STORE_URL = `etcd://${STORE_ADDRESS}:2379/test`;

/** It need not answer yet: who shares through it waits for that. */
export async function startWireEtcd(scope: Scope, wire: Namespace): Promise<Child> {
  await wire.ip(`address add ${STORE_ADDRESS}/24 dev wire`);
  const client = `http://${STORE_ADDRESS}:2379`;
  const peer = `http://${STORE_ADDRESS}:2380`;
  return await wire.spawn(scope, {
    command: 'etcd',
    args: [
      ...['--data-dir', await temporaryDirectory(scope, 'etcd'), '--log-level', 'error'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`],
    ],
  });
}
