/** Which test makes which drop happen; `test/datapath/drops.test.ts` holds the lists against the datapath's. */

/** Made by `test/netns/drops.test.ts`, for they need a kernel. All others: `test/datapath/drops.test.ts`. */
export const madeInNamespaces = [
  'rx.sock_overflow',
  'rx.ring_overflow',
  'rx.truncated',
  'rx.outer_ip_bad',
  'rx.outer_udp_len',
  'rx.outer_udp_csum',
  'rx.group_mismatch',
  'rx.gro_ambiguous',
  'rx.vnet_hdr_bad',
  'rx.offload_unknown',
  'rx.src_mac_local',
  'tx.port_gone',
  'tx.port_down',
  'tx.no_route',
  'tx.eperm',
  'tx.local_down',
  'rx.read_failed',
  'rx.port_overrun',
  'tx.port_refused',
  'tx.send_failed',
  'tx.batch_full',
] as const;
