// etcd's v3 API as gRPC methods. The definition and its types are those of the `etcd3` package. Its client
// is not used: it repeats writes whose outcome is unknown, its watch throws from an event handler (which
// ends the process), and it opens a connection for each token and never closes one.

import { createRequire } from 'node:module';
import type { MethodDefinition } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import type * as Rpc from 'etcd3/lib/rpc.js';

export type { Rpc };

/** Bytes of messages, without the framing of HTTP/2 and TLS. */
export interface Traffic {
  sent: number;
  received: number;
}

export type Method<Q, A> = MethodDefinition<Q, A>;

export interface EtcdApi {
  readonly authenticate: Method<Rpc.IAuthenticateRequest, Rpc.IAuthenticateResponse>;
  readonly range: Method<Rpc.IRangeRequest, Rpc.IRangeResponse>;
  readonly txn: Method<Rpc.ITxnRequest, Rpc.ITxnResponse>;
  readonly leaseGrant: Method<Rpc.ILeaseGrantRequest, Rpc.ILeaseGrantResponse>;
  readonly leaseRevoke: Method<Rpc.ILeaseRevokeRequest, Rpc.ILeaseRevokeResponse>;
  /** A stream, of which we take one answer. */
  readonly leaseKeepAlive: Method<Rpc.ILeaseKeepAliveRequest, Rpc.ILeaseKeepAliveResponse>;
  readonly watch: Method<Rpc.IWatchRequest, Rpc.IWatchResponse>;
}

/** The methods, which count what they carry into `traffic`. */
export function etcdApi(traffic: Traffic): EtcdApi {
  const file = createRequire(import.meta.url).resolve('etcd3/proto/rpc.proto');
  const options = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };
  const definition = loadSync(file, options);
  const method = <Q, A>(service: string, name: string): Method<Q, A> => {
    const known: unknown = (definition[`etcdserverpb.${service}`] as ServiceDefinition)[name];
    const { requestSerialize, responseDeserialize, ...rest } = known as Method<Q, A>;
    return {
      ...rest,
      requestSerialize: (request) => {
        const bytes = requestSerialize(request);
        traffic.sent += bytes.length;
        return bytes;
      },
      responseDeserialize: (bytes) => {
        traffic.received += bytes.length;
        return responseDeserialize(bytes);
      },
    };
  };
  return {
    authenticate: method('Auth', 'Authenticate'),
    range: method('KV', 'Range'),
    txn: method('KV', 'Txn'),
    leaseGrant: method('Lease', 'LeaseGrant'),
    leaseRevoke: method('Lease', 'LeaseRevoke'),
    leaseKeepAlive: method('Lease', 'LeaseKeepAlive'),
    watch: method('Watch', 'Watch'),
  };
}
