// Those of the datapath's drop reasons that a datagram alone shows, without the switch that gets it. The datapath has
// the list of all; a test holds these sentences against it.

export const offlineReasons = {
  'rx.outer_ip_bad': 'The outer IP header is damaged or lies about the length.',
  'rx.outer_udp_len': 'The outer UDP length does not fit the packet.',
  'rx.outer_udp_csum': 'The outer UDP checksum is wrong.',
  'rx.too_short_vxlan': 'The datagram is shorter than the 8 bytes of a VXLAN header.',
  'rx.outer_src_invalid': 'The outer source is no unicast address of another host.',
  'rx.vxlan_no_i': 'The I flag of the VXLAN header is clear, so it carries no VNI.',
  'rx.too_short_inner': 'The frame is shorter than an Ethernet header.',
  'rx.inner_ip_short': 'The frame says IP but is shorter than an IP header.',
  'rx.ecn_ce_notect':
    'The underlay marked congestion on a packet whose transport does not understand that, so dropping it is what tells its sender (RFC 6040).',
  'rx.src_mac_mcast': 'The source MAC is a multicast address.',
  'rx.src_mac_zero': 'The source MAC is all zero.',
  'rx.src_eq_dst': 'Source and destination MAC are the same.',
  'rx.dst_mac_zero': 'The destination MAC is all zero.',
  'rx.l2ctrl_filtered': 'Link-local control frames (01:80:c2:00:00:0x) stay on their link.',
} as const;

export type OfflineReason = keyof typeof offlineReasons;
