// Where everything of the picture stands. Pure geometry: units are CSS pixels, y goes down.
//
//    ┌────────┐   label    ┌──────────────┐   label    ┌────────┐
//    │ host   │────────────┤  this host   ├────────────│ host   │
//    └────────┘            │   network    │            └────────┘
//    ┌────────┐            │     port     │
//    │ host   ├────────────┤   network    │     one lane for each tunnel
//    └────────┘            └──────────────┘

const HOST = { width: 186, least: 58, gap: 14 };
const LABEL = 196;
const MIDDLE = { least: 290, most: 380, head: 50, gap: 10, foot: 10 };
/** What a curve needs at least, and what it may take. */
const CURVE = { least: 36, most: 170 };
const NETWORK_ROW = 30;
const PORT_ROW = 22;
const MARGIN = 8;
/** With this many tunnels or fewer there is room for two lines at each. */
const ROOMY = 24;
/** Ports that a network shows by name; the rest is a number. */
const PORTS_SHOWN = 8;

/** The least width for hosts on both sides. */
export const WIDE = 2 * (HOST.width + LABEL + CURVE.least + MARGIN) + MIDDLE.least;

/** Places a scene in `width`; the picture is as high as it must be, and wider than asked where there is too little. */
export function placed(scene, width) {
  const isWide = width >= WIDE;
  const lane = scene.hosts.reduce((sum, { tunnels }) => sum + tunnels.length, 0) > ROOMY ? 22 : 42;
  const [left, right] = sidesOf(scene.hosts, isWide, lane);
  const sides = isWide ? 2 : 1;
  const outside = sides * (HOST.width + LABEL) + 2 * MARGIN;
  const free = Math.max(width - outside, MIDDLE.least + sides * CURVE.least);
  const middleWidth = Math.min(MIDDLE.most, free - sides * CURVE.least);
  const curve = Math.min(CURVE.most, (free - middleWidth) / sides);
  const total = outside + middleWidth + sides * curve;
  const blocks = blocksOf(scene.networks);
  const middleHeight =
    MIDDLE.head + blocks.reduce((sum, block) => sum + block.height + MIDDLE.gap, 0) + MIDDLE.foot;
  const height = Math.max(middleHeight, heightOf(left), heightOf(right), 160) + 2 * MARGIN;
  const start = Math.max(0, (width - total) / 2) + MARGIN;
  const x = isWide ? start + HOST.width + LABEL + curve : start;
  const self = { x, y: (height - middleHeight) / 2, width: middleWidth, height: middleHeight };
  stackBlocks(blocks, self);
  const place = { self, blocks, curve, height };
  return {
    width: Math.max(width, total),
    height,
    isRoomy: lane > 30,
    self,
    blocks,
    hosts: [
      ...stacked(left, { ...place, side: 'left', x: start }),
      ...stacked(right, { ...place, side: 'right', x: x + middleWidth + curve + LABEL }),
    ],
  };
}

/** Hosts with their heights, left and right: so that both sides are about as high, and each keeps the order. */
function sidesOf(hosts, isWide, lane) {
  const boxes = hosts.map((host) => ({
    host,
    lane,
    height: Math.max(HOST.least, host.tunnels.length * lane + 8),
  }));
  if (!isWide) return [[], boxes];
  const whole = heightOf(boxes);
  let filled = 0;
  const right = [];
  const left = [];
  for (const box of boxes) {
    // The first half stands on the right, where reading goes on.
    (filled + box.height / 2 <= whole / 2 || right.length === 0 ? right : left).push(box);
    filled += box.height + HOST.gap;
  }
  return [left, right];
}

function heightOf(boxes) {
  return boxes.reduce((sum, { height }) => sum + height + HOST.gap, -HOST.gap);
}

function blocksOf(networks) {
  return networks.map((network) => {
    const shown = network.ports.slice(0, PORTS_SHOWN);
    const more = network.ports.length - shown.length;
    const rows = shown.length + (more > 0 ? 1 : 0);
    return { network, shown, more, height: NETWORK_ROW + rows * PORT_ROW + (rows > 0 ? 6 : 0) };
  });
}

function stackBlocks(blocks, self) {
  let y = self.y + MIDDLE.head;
  for (const block of blocks) {
    Object.assign(block, { x: self.x + 10, y, width: self.width - 20 });
    block.ports = block.shown.map((port, index) => ({
      port,
      y: y + NETWORK_ROW + index * PORT_ROW + PORT_ROW / 2,
    }));
    y += block.height + MIDDLE.gap;
  }
}

function stacked(boxes, { side, x, self, blocks, curve, height }) {
  const isLeft = side === 'left';
  const edge = isLeft ? x + HOST.width : x;
  const bend = isLeft ? edge + LABEL : edge - LABEL;
  let y = (height - heightOf(boxes)) / 2;
  return boxes.map(({ host, lane, height: boxHeight }) => {
    const top = y;
    y += boxHeight + HOST.gap;
    const first = top + (boxHeight - host.tunnels.length * lane) / 2 + lane / 2;
    const lanes = host.tunnels.map((tunnel, index) => {
      const laneY = first + index * lane;
      const block = blocks.find(({ network }) => network.name === tunnel.network);
      const end = isLeft ? self.x : self.x + self.width;
      const endY = block === undefined ? self.y : block.y + NETWORK_ROW / 2;
      const reach = isLeft ? curve / 2 : -curve / 2;
      const path = `M${edge} ${laneY}H${bend}C${bend + reach} ${laneY} ${end - reach} ${endY} ${end} ${endY}`;
      return { tunnel, y: laneY, path, label: { x: (edge + bend) / 2, width: LABEL } };
    });
    return { host, side, x, y: top, width: HOST.width, height: boxHeight, lanes };
  });
}
