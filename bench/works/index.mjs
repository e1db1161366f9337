// What is measured.
import { large, small, smallWithoutLoss, trickle } from './datagrams.mjs';
import { idle } from './idle.mjs';
import { tcp } from './tcp.mjs';
import { connections, roundTrips } from './transactions.mjs';

/** Cuts of the underlay, see `buildSite`. */
export const underlays = [
  { name: 'full', title: 'Underlay: veth as it is' },
  { name: 'wire', title: 'Underlay: MTU-sized packets on the wire' },
  { name: 'wire-gro', title: 'Underlay: the same, and the receiving host has GRO on' },
];

const everywhere = underlays.map(({ name }) => name);
const cut = ['full', 'wire'];
const usual = {
  underlays: ['full'],
  variants: [],
  showsCosts: false,
  possible: () => true,
};

/**
 * In the order of the tables.
 *
 *   underlays      where it is measured; by default on `full` alone
 *   variants       underlays on which it is also measured with each facility off
 *   figures        by name: title with unit, which way is better, and whether it is a `cost`
 *   showsCosts     the tables show its costs too; the results always hold them
 *   possible       (site) => whether it can be measured there
 *   measure        (lab, site, pace) => a number for each figure; one that means nothing there, as CPU of daemons
 *                  where there are none, is 0
 */
export const works = [
  tcp('tcp1', 'TCP, 1 stream', { underlays: everywhere, variants: cut, showsCosts: true }),
  tcp('tcp1r', 'TCP, 1 stream, reverse', { reverse: true, underlays: everywhere }),
  tcp('tcp4', 'TCP, 4 streams', { streams: 4, underlays: everywhere }),
  tcp('local', 'TCP, 1 stream, on one host', { local: true }),
  {
    name: 'small',
    title: 'UDP, 64-byte frames',
    underlays: cut,
    variants: ['full'],
    showsCosts: true,
    ...small,
  },
  { name: 'small-clean', title: 'UDP, 64-byte frames', ...smallWithoutLoss },
  { name: 'large', title: 'UDP, 1400 bytes', underlays: cut, ...large },
  { name: 'rtt-udp', title: 'UDP round trip', variants: ['full'], ...roundTrips('udp') },
  { name: 'rtt-tcp', title: 'TCP round trip', ...roundTrips('tcp') },
  { name: 'connect1', title: 'TCP connect-request-close, 1 client', ...connections(1) },
  { name: 'connect8', title: 'TCP connect-request-close, 8 clients', ...connections(8) },
  { name: 'idle', title: 'Idle', ...idle },
  { name: 'trickle', title: '1000 packets/s', ...trickle },
].map((work) => ({ ...usual, ...work }));
