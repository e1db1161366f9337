// What is known of a machine before anything is judged: plain data, gathered apart (gather.ts).

import type { Probe } from '../../datapath/seam.js';
import type { StoreHealth } from '../../overlay/shared.js';
import type { UdpHolder } from '../udpOwner.js';
import type { Chain } from './firewall.js';
import type { LinkFile } from './linkFiles.js';

/** What was read, or why it could not be: nothing that is unreadable may cost the rest of the page. */
export type Reading<T> = { readonly value: T } | { readonly unread: string };

/** What the machine shall be good for. */
export interface Purpose {
  /** Our outer address; absent where no configuration says one. */
  readonly vtep?: string;
  /** UDP ports that our networks use. */
  readonly udpPorts: ReadonlySet<number>;
  /** VTEPs of other hosts with the largest outer IP packet that is known to reach them, in bytes. */
  readonly peers: readonly { readonly address: string; readonly pathMtu?: number }[];
  /** The configuration has a TAP port, or serves Docker. */
  readonly makesTaps: boolean;
  /** The configuration has a packet port. */
  readonly opensPackets: boolean;
  /** Absent where hosts share nothing. */
  readonly store?: { readonly name: string } & Pick<StoreHealth, 'state' | 'detail'>;
}

/** Settings of the kernel that say whether ordinary users may make user namespaces; absent = unknown to this kernel. */
export interface UserNamespaces {
  /** user.max_user_namespaces */
  readonly most?: number;
  /** kernel.unprivileged_userns_clone of Debian's and Arch's kernels: 0 forbids. */
  readonly unprivileged?: number;
  /** kernel.apparmor_restrict_unprivileged_userns of Ubuntu's: 1 takes their capabilities. */
  readonly restricted?: number;
}

export interface Facts {
  readonly purpose: Purpose;
  /** What the addon found by trying; unread where it cannot be loaded. */
  readonly probe: Reading<Probe>;
  /** `uname -r` */
  readonly kernel: string;
  /** Version without `v`. */
  readonly node: string;
  /** The C library that runs; absent where it is no glibc. */
  readonly glibc?: string;
  /** Names of our effective capabilities, as `CAP_NET_ADMIN`. */
  readonly capabilities: Reading<ReadonlySet<string>>;
  readonly userNamespaces: Reading<UserNamespaces>;
  /** Permission bits of /dev/net/tun. */
  readonly tunMode: Reading<number>;
  /** net.core.rmem_max, bytes. */
  readonly receiveBufferMax: Reading<number>;
  /** Who has a socket on one of the UDP ports that concern us, in our network namespace. */
  readonly holders: Reading<readonly UdpHolder[]>;
  /** rp_filter in effect per interface: 0 off, 1 strict, 2 loose. */
  readonly rpFilter: Reading<ReadonlyMap<string, number>>;
  readonly firewall: Reading<readonly Chain[]>;
  /** systemd's link files in the order in which udev asks them; undefined where no udev runs. */
  readonly linkFiles: Reading<readonly LinkFile[] | undefined>;
  readonly kernelVxlan: Reading<'there' | 'module' | 'absent'>;
}
