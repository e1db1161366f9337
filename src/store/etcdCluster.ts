// The members of an etcd cluster as one: a call goes to the member that served the last one, and to the
// next when it fails. The connection to a member that failed is dropped whole, so that a silently dead
// one is met only once.

import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  connectivityState,
  credentials,
  Metadata,
} from '@grpc/grpc-js';
import { SwitchError } from '../model/error.js';
import { type EtcdApi, etcdApi, type Method, type Traffic } from './etcdApi.js';
import { errorOfEtcd, isOpenToAll, isStaleToken } from './etcdError.js';
import { STORE_PATIENCE_MS } from './store.js';
import type { StoreAccess } from './storeAccess.js';

const OPTIONS = {
  // A new connection to an address is new: never one that others still use.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': -1,
  'grpc.enable_http_proxy': 0,
};

/** One request to one member. */
type Call<T> = (client: Client, metadata: Metadata, options: CallOptions) => Promise<T>;

interface Member {
  readonly address: string;
  /** Absent until it is used, and after a failure. */
  client?: Client | undefined;
}

/** Throws STORE_DENIED when certificates or the key are none; after that, calls throw SwitchErrors. */
export class EtcdCluster {
  readonly api: EtcdApi;
  readonly traffic: Traffic = { sent: 0, received: 0 };
  readonly #access: StoreAccess;
  readonly #credentials: ChannelCredentials;
  /** The first is the one in use. */
  readonly #members: Member[];
  /** Every member takes it. Absent: not asked for yet; empty: not needed. */
  #token: string | undefined;
  #closed = false;

  constructor(access: StoreAccess) {
    this.#access = access;
    this.#credentials = credentialsOf(access);
    this.#members = access.addresses.map((address) => ({ address }));
    this.api = etcdApi(this.traffic);
    if (access.user === undefined) this.#token = '';
  }

  /** For a request that may happen twice: member after member is asked. */
  async ask<Q, A>(method: Method<Q, A>, request: Q): Promise<A> {
    return await this.#withAny((client, deadline) =>
      this.#authorized(client, deadline, unary(method, request)),
    );
  }

  /** The first answer to the one request of a stream; otherwise as `ask`. */
  async askStream<Q, A>(method: Method<Q, A>, request: Q): Promise<A> {
    return await this.#withAny((client, deadline) =>
      this.#authorized(client, deadline, firstOf(method, request)),
    );
  }

  /** For a request that must not happen twice: sent once, to a member that answers. */
  async tell<Q, A>(method: Method<Q, A>, request: Q): Promise<A> {
    const deadline = Date.now() + STORE_PATIENCE_MS;
    const client = await this.#reachable();
    try {
      return await this.#authorized(client, deadline, unary(method, request));
    } catch (error) {
      throw this.failed(client, error);
    }
  }

  /** A stream with a member that answers. Its errors are raw: `failed` makes SwitchErrors of them. */
  async stream<Q, A>(method: Method<Q, A>) {
    const client = await this.#reachable();
    const { path, requestSerialize, responseDeserialize } = method;
    const metadata = this.#metadata();
    // Without this a member that lost its leader leaves us waiting.
    metadata.set('hasleader', 'true');
    const stream = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
    );
    // An error that nobody listens for, now or after the end, would end the process.
    stream.on('error', () => {});
    return { client, stream };
  }

  /** What an error of a member means; one of its connection drops that, and the next member's turn comes. */
  failed(client: Client, error: unknown): SwitchError {
    const known = errorOfEtcd(this.#access.name, error);
    const at = this.#members.findIndex((member) => member.client === client);
    const member = this.#members[at];
    if (member !== undefined && isOfMember(known)) {
      drop(member);
      if (at === 0) this.#members.push(...this.#members.splice(0, 1));
    }
    return known;
  }

  close(): void {
    this.#closed = true;
    this.#members.forEach(drop);
  }

  /** Asks the members in turn until one serves; each has its share of what is left of our patience. */
  async #withAny<T>(task: (client: Client, deadline: number) => Promise<T>): Promise<T> {
    const end = Date.now() + STORE_PATIENCE_MS;
    const failures: SwitchError[] = [];
    for (let left = this.#members.length; left > 0; left -= 1) {
      const client = this.#client();
      try {
        return await task(client, Date.now() + (end - Date.now()) / left);
      } catch (error) {
        const failure = this.failed(client, error);
        if (!isOfMember(failure)) throw failure;
        failures.push(failure);
      }
    }
    throw failures.find(({ code }) => code !== 'STORE_DOWN') ?? failures.at(-1);
  }

  /** A member that answers right now, or did so on the connection that is still there. */
  async #reachable(): Promise<Client> {
    const [member] = this.#members;
    if (member?.client?.getChannel().getConnectivityState(false) === connectivityState.READY) {
      if (this.#token !== undefined) return member.client;
    }
    return await this.#withAny(async (client, deadline) => {
      const key = Buffer.from(`${this.#access.prefix}/`);
      const question = { key, keys_only: true, serializable: true };
      await this.#authorized(client, deadline, unary(this.api.range, question));
      return client;
    });
  }

  #client(): Client {
    const [member] = this.#members;
    if (this.#closed || member === undefined) {
      throw new SwitchError('STORE_DOWN', this.#access.name, { why: 'it is closed' });
    }
    member.client ??= new Client(member.address, this.#credentials, OPTIONS);
    return member.client;
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token) metadata.set('token', this.#token);
    return metadata;
  }

  /** A call refused for its token was not carried out, and is repeated with a new one. */
  async #authorized<T>(client: Client, deadline: number, call: Call<T>): Promise<T> {
    this.#token ??= await this.#authenticate(client, deadline);
    try {
      return await call(client, this.#metadata(), { deadline });
    } catch (error) {
      if (this.#access.user === undefined || !isStaleToken(error)) throw error;
    }
    this.#token = await this.#authenticate(client, deadline);
    return await call(client, this.#metadata(), { deadline });
  }

  async #authenticate(client: Client, deadline: number): Promise<string> {
    const authenticate = unary(this.api.authenticate, this.#access.user ?? {});
    try {
      return (await authenticate(client, new Metadata(), { deadline })).token;
    } catch (error) {
      if (isOpenToAll(error)) return '';
      throw error;
    }
  }
}

function drop(member: Member): void {
  member.client?.close();
  member.client = undefined;
}

/** Whether another member may serve. */
function isOfMember({ code }: SwitchError): boolean {
  return code === 'STORE_DOWN' || code === 'STORE_DENIED';
}

function credentialsOf({ name, tls }: StoreAccess): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  try {
    return credentials.createSsl(tls.ca, tls.key, tls.cert);
  } catch (error) {
    throw new SwitchError('STORE_DENIED', name, { detail: (error as Error).message });
  }
}

function unary<Q, A>(method: Method<Q, A>, request: Q): Call<A> {
  const { path, requestSerialize, responseDeserialize } = method;
  return (client, metadata, options) =>
    new Promise((resolve, reject) => {
      const answer = (error: Error | null, value?: A) =>
        value === undefined ? reject(error) : resolve(value);
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        answer,
      );
    });
}

function firstOf<Q, A>(method: Method<Q, A>, request: Q): Call<A> {
  const { path, requestSerialize, responseDeserialize } = method;
  return (client, metadata, options) =>
    new Promise((resolve, reject) => {
      const stream = client.makeBidiStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
        options,
      );
      stream.on('data', (answer: A) => {
        resolve(answer);
        stream.cancel();
      });
      // Cancelling is an error too, after the answer.
      stream.on('error', reject);
      stream.on('end', () => reject(new Error('the stream ended without an answer')));
      stream.write(request);
    });
}
