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
  'rx.src_mac_local',
  'tx.port_gone',
  'tx.port_down',
  'tx.no_route',
  'tx.eperm',
  'tx.local_down',
] as const;

/** Not made by any test, and why. */
export const notMade: Readonly<Record<string, string>> = {
  'rx.read_failed':
    'a TAP gives an error instead of a frame only when the kernel runs out of memory, or has an offload that it did not promise',
  'tx.batch_full':
    'it takes a superframe of segments so small that the kernel cuts it before it gives it to a TAP',
  'tx.send_failed':
    'every errno of a send that could be provoked has a reason of its own; this is for those that could not',
  'tx.port_refused':
    'whatever the kernel would refuse at a TAP it has refused already where the frame came from',
};
