/** Where the picture's parts stand: nothing over another, nothing outside, whatever there is to draw. */

import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { placed, WIDE } from '../../../src/page/static/layout.js';
import { coloursOf, remoteOf } from '../../../src/page/static/scene.js';

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const scene = fc
  .tuple(fc.array(fc.nat(12), { maxLength: 12 }), fc.array(fc.nat(5), { maxLength: 20 }))
  .map(([ports, tunnels]) => ({
    networks: ports.map((count, n) => ({
      name: `net${n}`,
      ports: Array.from({ length: count }, (_, m) => ({ name: `p${m}` })),
    })),
    hosts: tunnels.map((count, n) => ({
      address: `10.0.0.${n}`,
      tunnels: Array.from({ length: Math.min(count, ports.length) }, (_, m) => ({
        network: `net${m}`,
      })),
    })),
  }));

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

it('puts no box over another and none outside', () => {
  fc.assert(
    fc.property(scene, fc.integer({ min: 400, max: 2600 }), (drawn, width) => {
      const layout = placed(drawn, width);
      const boxes: Box[] = [layout.self, ...layout.hosts];
      for (const [index, box] of boxes.entries()) {
        expect(box.x).toBeGreaterThanOrEqual(0);
        expect(box.y).toBeGreaterThanOrEqual(0);
        expect(box.x + box.width).toBeLessThanOrEqual(layout.width);
        expect(box.y + box.height).toBeLessThanOrEqual(layout.height);
        expect(boxes.slice(index + 1).some((other) => overlap(box, other))).toBe(false);
      }
      expect(layout.hosts).toHaveLength(drawn.hosts.length);
      for (const { host, lanes, y, height } of layout.hosts) {
        expect(lanes).toHaveLength(host.tunnels.length);
        expect(lanes.every((lane: { y: number }) => lane.y > y && lane.y < y + height)).toBe(true);
      }
    }),
  );
});

it('has hosts on both sides where there is room, and on one where there is not', () => {
  const drawn = {
    networks: [{ name: 'net', ports: [] }],
    hosts: ['a', 'b', 'c', 'd'].map((address) => ({ address, tunnels: [{ network: 'net' }] })),
  };
  const sides = (width: number) =>
    placed(drawn, width)
      .hosts.map(({ side }) => side)
      .sort();
  expect(sides(WIDE)).toEqual(['left', 'left', 'right', 'right']);
  expect(sides(WIDE - 1)).toEqual(['right', 'right', 'right', 'right']);
});

it('gives networks colours in the order of their VNIs', () => {
  const networks = [300, 256, 257].map((vni) => ({ name: `n${vni}`, vni }));
  expect(Object.fromEntries(coloursOf(networks))).toEqual({ n256: 0, n257: 1, n300: 2 });
});

it('reads the names of tunnels', () => {
  expect(remoteOf('10.200.0.2:4789').address).toBe('10.200.0.2');
  expect(remoteOf('[fd00::2]:4789/300')).toEqual({ address: 'fd00::2', udpPort: 4789, vni: 300 });
});
