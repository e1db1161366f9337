// The one table of what an operator reads when something is refused: what happened, why, what to do.
// Daemon, API and CLI print the same sentence. `{subject}` is what the error is about.

export interface Sentence {
  /** HTTP status of the API's answer. */
  readonly status: number;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

export const sentences = {
  // The host
  NO_NET_ADMIN: {
    status: 409,
    what: 'cannot make {subject}',
    why: 'vswitchd lacks the capability CAP_NET_ADMIN',
    fix: 'run it as root, or give the container --cap-add NET_ADMIN; an ordinary user attaches his containers with --rootless',
  },
  NO_TUN: {
    status: 409,
    what: 'cannot make {subject}',
    why: '/dev/net/tun is missing or closed to us',
    fix: 'run `modprobe tun`, or pass the device in with --device /dev/net/tun',
  },
  NO_RING: {
    status: 409,
    what: 'cannot open {subject}',
    why: 'the kernel has no packet ring, or no tcx to drop what it takes',
    fix: 'ordinary sockets serve as well; for more speed use Linux 6.6 or newer',
  },
  NO_TUNNEL_GSO: {
    status: 409,
    what: 'cannot open {subject}',
    why: 'the kernel takes no superframes inside UDP tunnels from a TAP, or has no tcx to send them on',
    fix: 'ordinary sockets serve as well; for more speed use Linux 6.17 or newer',
  },
  NO_FILES: {
    status: 409,
    what: 'cannot open {subject}',
    why: 'the process has no file descriptors or memory left for it',
    fix: 'raise the limit (`ulimit -n`, LimitNOFILE=) or remove ports',
  },
  NETNS_GONE: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'its network namespace does not exist',
    fix: 'start the container, or name a namespace that `ip netns list` shows',
  },
  NO_INTERFACE: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'there is no interface of that name',
    fix: 'make it, or name one that `ip link` shows in that namespace',
  },
  INTERFACE_UNFIT: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'its interface cannot be a packet port',
    fix: 'name another with --ifname: an end of a veth pair, or a NIC that no tunnel goes through',
  },
  NO_SETNS: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'the kernel has no setns, with which a process enters the namespace of another',
    fix: 'use Linux 3.0 or newer; or leave out --netns and move the TAP there yourself: `ip link set NAME netns PID`',
  },
  IFNAME_TAKEN: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'an interface of that name exists in the namespace and is not ours',
    fix: 'choose another name with --ifname, or remove that interface',
  },
  TAP_BUSY: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'another process holds its TAP device open',
    fix: 'stop that process, or choose another --ifname',
  },
  HANDOVER_REFUSED: {
    status: 409,
    what: 'cannot hand a TAP over at {subject}',
    why: 'it was not taken',
    fix: 'try again, or restart vswitchd; see that vswitchctl is of the same version',
  },
  HANDOVER_GONE: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'the TAP that was handed over for it is gone, as with an earlier run of vswitchd',
    fix: 'attach the container again with `vswitchctl port add NETWORK --rootless PID --name PORT`, which gives it the addresses that it had; or remove the port',
  },
  CONTAINER_CLOSED: {
    status: 409,
    what: 'cannot enter the container of process {subject}',
    why: 'its namespaces cannot be entered',
    fix: 'run this as the user who started the container; nsenter comes with util-linux',
  },
  MTU_IMPOSSIBLE: {
    status: 409,
    what: 'cannot give {subject} its MTU',
    why: 'the kernel refuses it',
    fix: 'set `mtu` of the port between 68 (1280 with IPv6) and 65485',
  },
  PORT_IN_USE: {
    status: 409,
    what: 'cannot open UDP {subject}',
    why: 'another socket of this host has that port',
    fix: 'stop its owner, or set another `vtep.port` on all hosts',
  },
  ADDRESS_NOT_LOCAL: {
    status: 409,
    what: 'cannot bind {subject}',
    why: 'no interface of this host has that address',
    fix: 'set `vtep.address` to one that `ip address` shows',
  },
  VTEP_CHANGED: {
    status: 409,
    what: 'cannot change {subject} while running',
    why: 'our own end point is fixed from the start',
    fix: 'restart vswitchd; TAPs stay, so containers only see a pause',
  },
  STOPPED: {
    status: 409,
    what: 'cannot do that to {subject}',
    why: 'the switch has stopped',
    fix: 'start vswitchd again',
  },
  IO: {
    status: 409,
    what: 'the kernel refused {subject}',
    why: 'a system call failed',
    fix: 'see `vswitchctl doctor` for what this host offers',
  },
  BAD_VALUE: {
    status: 400,
    what: 'the datapath refused {subject}',
    why: 'it cannot work with this value',
    fix: 'correct the value',
  },
  BAD_FILTER: {
    status: 400,
    what: 'cannot capture with the filter {subject}',
    why: 'it is no filter of libpcap (pcap-filter(7)) about Ethernet frames',
    fix: 'write it as for tcpdump, about the frames of containers',
  },
  TOO_MANY_CAPTURES: {
    status: 409,
    what: 'cannot begin {subject}',
    why: 'as many captures run as may',
    fix: 'end one of them; `vswitchctl capture --list` shows them',
  },
  CAPTURE_UNWRITABLE: {
    status: 409,
    what: 'cannot write the capture to {subject}',
    why: 'the file system refused it',
    fix: 'make room, or name another file; what was written before is kept',
  },
  CAPTURE_CUT: {
    status: 503,
    what: 'the capture of {subject} was cut short',
    why: 'vswitchd went away',
    fix: 'see its log; what was captured before is kept',
  },
  EXTCAP_FOLDER: {
    status: 409,
    what: 'cannot use {subject}',
    why: 'the file system refused it',
    fix: 'choose another folder with --dir',
  },
  CAPTURE_UNREADABLE: {
    status: 400,
    what: 'cannot read {subject}',
    why: 'the file cannot be opened or read',
    fix: 'check the path and its permissions',
  },
  PACKET_UNKNOWN: {
    status: 400,
    what: 'there is no packet {subject}',
    why: 'the file has fewer',
    fix: 'count them with `vswitchctl pcap FILE`',
  },
  INTERFACE_UNREADABLE: {
    status: 409,
    what: 'cannot listen on {subject}',
    why: 'libpcap refuses it',
    fix: 'name one that `ip link` shows, as root or with the capability CAP_NET_RAW',
  },
  NO_PCAP: {
    status: 409,
    what: 'cannot listen on {subject}',
    why: 'the optional package `pcap` is not built here',
    fix: 'use `tcpdump -i IFNAME -w - | vswitchctl pcap -`; or install a C++ compiler and libpcap-dev and run `npm explore pcap -- node-gyp rebuild` in the folder of vswitchd',
  },
  NO_ADDON: {
    status: 500,
    what: 'cannot load {subject}',
    why: 'the native part of vswitchd is missing or was built for another machine',
    fix: 'build it, with Rust and a C compiler: `npm run build` in the folder of vswitchd',
  },
  // The daemon
  LOCKED: {
    status: 409,
    what: 'cannot start on {subject}',
    why: 'another vswitchd runs with this socket',
    fix: 'stop it, or give this one another --socket',
  },
  SOCKET_UNUSABLE: {
    status: 409,
    what: 'cannot open the socket {subject}',
    why: 'the path cannot be used',
    fix: 'choose a path in a directory that this user may write',
  },
  NO_DAEMON: {
    status: 503,
    what: 'no vswitchd answers on {subject}',
    why: 'it does not run, or uses another socket',
    fix: 'start it, or name its socket with --socket',
  },
  NO_ANSWER: {
    status: 504,
    what: '{subject} does not answer',
    why: 'whatever listens there is stuck, or is no vswitchd',
    fix: 'see the log of vswitchd, or restart it; TAPs stay, so containers only see a pause',
  },
  SOCKET_DENIED: {
    status: 403,
    what: 'may not talk to {subject}',
    why: 'only its owner may use the control socket',
    fix: 'use sudo, or the user that runs vswitchd',
  },
  LISTEN_FAILED: {
    status: 409,
    what: 'cannot listen on {subject}',
    why: 'the address is not of this host, or another program has the port',
    fix: 'choose another',
  },
  TOKEN_NEEDED: {
    status: 409,
    what: 'cannot serve the page on {subject}',
    why: 'whoever reaches that address could read what the networks of this host do',
    fix: 'name a file with a token that he must know (--http-token-file FILE or `http.token_file`), or choose 127.0.0.1',
  },
  TOKEN_UNUSABLE: {
    status: 409,
    what: 'cannot use the token in {subject}',
    why: 'it is too short to be no guess',
    fix: 'write one of 16 characters or more, for instance by `openssl rand -hex 16`',
  },
  UNAUTHORIZED: {
    status: 401,
    what: 'refused {subject}',
    why: 'the request does not bear the token',
    fix: 'open the page once as /?token=TOKEN, or send the header `Authorization: Bearer TOKEN`',
  },
  FORBIDDEN: {
    status: 403,
    what: 'refused a request {subject}',
    why: 'only our own page may ask',
    fix: 'open the page itself',
  },
  INTERNAL: {
    status: 500,
    what: '{subject} failed inside vswitchd',
    why: 'this is a bug of ours',
    fix: 'please report it with the log',
  },
  // Configuration
  CONFIG_UNREADABLE: {
    status: 400,
    what: 'cannot read {subject}',
    why: 'the file cannot be opened',
    fix: 'check the path and its permissions',
  },
  CONFIG_INVALID: {
    status: 400,
    what: '{subject} is refused',
    why: 'it has problems',
    fix: 'correct what is listed',
  },
  NO_CONFIG_FILE: {
    status: 409,
    what: 'cannot reload {subject}',
    why: 'it was started without a configuration file',
    fix: 'start it with --config FILE',
  },
  STATE_NEWER: {
    status: 409,
    what: 'cannot use the state file {subject}',
    why: 'a newer vswitchd wrote it',
    fix: 'run that version, or move the file away',
  },
  STATE_UNWRITABLE: {
    status: 500,
    what: 'cannot write the state file {subject}',
    why: 'the file system refused it, so the change was taken back',
    fix: 'make room or correct the permissions of its directory',
  },
  // The store
  STORE_DOWN: {
    status: 503,
    what: 'cannot reach the store {subject}',
    why: 'it does not answer',
    fix: 'see that it runs and that this host reaches it; what is attached goes on working meanwhile',
  },
  STORE_DENIED: {
    status: 503,
    what: 'cannot use the store {subject}',
    why: 'it refuses us, or its certificate is not trusted',
    fix: 'correct user, password, token or certificates in the `store` setting',
  },
  STORE_REFUSED: {
    status: 503,
    what: 'the store {subject} refuses the change',
    why: 'it answered with an error',
    fix: 'see the log of the store',
  },
  STORE_COMPACTED: {
    status: 503,
    what: 'cannot follow the store {subject}',
    why: 'it has forgotten the revision from which we asked',
    fix: 'nothing: everything is read anew',
  },
  VNI_TAKEN: {
    status: 409,
    what: 'cannot give {subject}',
    why: 'another network has that VNI',
    fix: 'leave the VNI out, or choose another',
  },
  NO_FREE_SUBNET: {
    status: 409,
    what: 'cannot give network {subject} a subnet',
    why: 'every automatic subnet is taken',
    fix: 'name one with --subnet',
  },
  NETWORK_MISMATCH: {
    status: 409,
    what: 'cannot join network {subject}',
    why: 'the store has one of that name that differs',
    fix: 'make it with the same settings, or choose another name',
  },
  NETWORK_IN_USE: {
    status: 409,
    what: 'cannot remove network {subject}',
    why: 'it has endpoints',
    fix: 'see `vswitchctl endpoint ls`, and detach them first',
  },
  ADDRESS_TAKEN: {
    status: 409,
    what: 'cannot give the address {subject}',
    why: 'somebody has it',
    fix: 'choose another, or leave the choice to us',
  },
  ADDRESS_OUTSIDE: {
    status: 409,
    what: 'cannot give the address {subject}',
    why: 'it is no host address of the network',
    fix: 'choose one of its subnet',
  },
  NO_FREE_ADDRESS: {
    status: 409,
    what: 'cannot give an address of network {subject}',
    why: 'every address of its subnet is taken',
    fix: 'detach what is not needed, or see `vswitchctl host ls` for hosts that are gone',
  },
  NO_POOL: {
    status: 409,
    what: 'cannot give an address of network {subject}',
    why: 'it has no subnet of that kind',
    fix: 'name the address, or make the network with --subnet',
  },
  HOST_UNKNOWN: {
    status: 404,
    what: 'there is no host {subject}',
    why: 'the store has none with that VTEP address',
    fix: 'see `vswitchctl host ls`',
  },
  HOST_ALIVE: {
    status: 409,
    what: 'cannot forget host {subject}',
    why: 'it is alive',
    fix: 'stop its vswitchd first',
  },
  TAP_GONE: {
    status: 409,
    what: 'cannot attach {subject}',
    why: 'its TAP is neither in the sandbox nor on the host any more',
    fix: 'restart the container',
  },
  // Docker
  DRIVER_OPTIONS: {
    status: 400,
    what: 'cannot make the network',
    why: 'its driver options are refused',
    fix: 'correct what is listed',
  },
  DRIVER_REFUSES: {
    status: 400,
    what: 'cannot make {subject}',
    why: 'the driver does not offer it',
    fix: 'leave it out',
  },
  ENGINE_AWAY: {
    status: 503,
    what: 'cannot ask Docker about {subject}',
    why: 'its API does not answer',
    fix: 'see that dockerd runs, and that `docker.engine` names its socket',
  },
  ENGINE_UNKNOWN: {
    status: 404,
    what: 'cannot use {subject}',
    why: 'Docker does not know it (any more)',
    fix: 'make it again with `docker network create`',
  },
  POOL_UNCLEAR: {
    status: 409,
    what: 'cannot give an address of the pool {subject}',
    why: 'no network, or more than one, has that subnet',
    fix: 'make the network again with `--ipam-opt network=NAME`',
  },
  POOL_HELD: {
    status: 409,
    what: 'cannot give the pool {subject}',
    why: 'another `docker network create` holds it, or it overlaps with a route of this host',
    fix: 'try again, or name another with --subnet',
  },
  TOO_SLOW: {
    status: 504,
    what: 'cannot finish {subject}',
    why: 'it took longer than Docker may be kept waiting',
    fix: 'see `vswitchctl status`, and try again',
  },
  // What the API is asked for
  BAD_REQUEST: {
    status: 400,
    what: 'the request is refused',
    why: 'it does not fit the API',
    fix: 'see GET /openapi.json',
  },
  NOT_FOUND: {
    status: 404,
    what: 'there is no {subject}',
    why: 'the API has no such path',
    fix: 'see GET /openapi.json',
  },
  TOO_LARGE: {
    status: 413,
    what: 'the request is refused',
    why: 'its body is larger than 1 MiB',
    fix: 'send less at a time',
  },
  NETWORK_UNKNOWN: {
    status: 404,
    what: 'there is no network {subject}',
    why: 'neither the file nor `network add` made it',
    fix: 'see `vswitchctl network ls`',
  },
  NETWORK_EXISTS: {
    status: 409,
    what: 'cannot add network {subject}',
    why: 'there is one of that name',
    fix: 'choose another name, or remove the old one with `network rm`',
  },
  NO_FREE_VNI: {
    status: 409,
    what: 'cannot add network {subject}',
    why: 'every VNI from 256 upward is taken',
    fix: 'name one with --vni',
  },
  PORT_UNKNOWN: {
    status: 404,
    what: 'there is no port {subject}',
    why: 'neither the file nor `port add` made it',
    fix: 'see `vswitchctl port ls`',
  },
  PORT_WAITING: {
    status: 409,
    what: 'cannot trace at port {subject}',
    why: 'it is not attached',
    fix: 'see `vswitchctl port ls`',
  },
  BAD_FLOW: {
    status: 400,
    what: 'cannot trace "{subject}"',
    why: 'it is no flow',
    fix: 'see `vswitchctl trace --help`',
  },
  NO_TERMINAL: {
    status: 400,
    what: 'cannot show {subject}',
    why: 'it needs a terminal, for its picture and for keys',
    fix: 'use `vswitchctl stats --watch`, which also knows --json',
  },
  TOO_LONG_AGO: {
    status: 410,
    what: 'cannot tell how the FDB was at {subject}',
    why: 'not all that happened since then is remembered',
    fix: 'ask for a later time',
  },
  PORT_EXISTS: {
    status: 409,
    what: 'cannot add port {subject}',
    why: 'there is one of that name',
    fix: 'choose another --name, or remove the old one with `port rm`',
  },
  PEER_UNKNOWN: {
    status: 404,
    what: 'there is no peer {subject}',
    why: 'the network does not list it',
    fix: 'see `vswitchctl network show NAME`',
  },
  PEER_EXISTS: {
    status: 409,
    what: 'cannot add peer {subject}',
    why: 'the network has it already',
    fix: 'nothing to do',
  },
  PEER_SELF: {
    status: 409,
    what: 'cannot add peer {subject}',
    why: 'it is our own VTEP address',
    fix: 'name the address of the other host',
  },
  FDB_UNKNOWN: {
    status: 404,
    what: 'there is no static FDB entry {subject}',
    why: 'only static entries can be removed one by one',
    fix: 'use `fdb flush` for learned ones',
  },
  FDB_EXISTS: {
    status: 409,
    what: 'cannot add FDB entry {subject}',
    why: 'the network has a static entry for that MAC',
    fix: 'use `fdb replace`',
  },
  FROM_FILE: {
    status: 409,
    what: 'cannot change {subject} here',
    why: 'it stands in the configuration file',
    fix: 'edit the file, then `vswitchctl reload`',
  },
  CONFLICT: {
    status: 409,
    what: 'cannot add {subject}',
    why: 'it does not fit what is there',
    fix: 'correct what is named',
  },
} as const satisfies Record<string, Sentence>;

export type ErrorCode = keyof typeof sentences;

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(sentences, code);
}
