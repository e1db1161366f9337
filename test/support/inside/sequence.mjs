// One end of many UDP flows whose datagrams are numbered, run inside a container.
//   node sequence.mjs receive ADDRESS PORT FLOWS        prints `listening`; when every flow has ended
//                                                       {"received":n,"disordered":n,"repeated":n}, and ends
//   node sequence.mjs send ADDRESS PORT FLOWS COUNT SIZE
//                                                       COUNT datagrams on each of FLOWS source ports, in turns; then
//                                                       says the end of each flow again and again, until stdin ends
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const [mode, address, port, ...counts] = process.argv.slice(2);
const END = 0xffffffff;
const BURST = 4;

async function receive(flows) {
  const socket = createSocket('udp4');
  const highest = new Map();
  const ended = new Set();
  const told = { received: 0, disordered: 0, repeated: 0 };
  socket.on('message', (payload) => {
    const [flow, number] = [payload.readUInt32BE(0), payload.readUInt32BE(4)];
    if (number === END) ended.add(flow);
    else count(flow, number);
    if (ended.size === flows) {
      console.log(JSON.stringify(told));
      process.exit(0);
    }
  });
  const count = (flow, number) => {
    told.received += 1;
    const before = highest.get(flow) ?? -1;
    // What comes behind the end of its flow is late too.
    if (number < before || ended.has(flow)) told.disordered += 1;
    else if (number === before) told.repeated += 1;
    else highest.set(flow, number);
  };
  socket.bind(Number(port), address);
  await once(socket, 'listening');
  console.log('listening');
}

async function send(flows, count, size) {
  const sockets = await Promise.all(Array.from({ length: flows }, opened));
  for (let number = 0; number < count; number += BURST) {
    const last = sockets.map((socket, flow) => burst(socket, flow, { number, count, size }));
    await Promise.all(last);
    // As fast as they can would fill the receiver's socket, and most would be lost there.
    await delay(2);
  }
  console.log(`sent ${flows * count}`);
  let wanted = true;
  process.stdin.resume().on('end', () => {
    wanted = false;
  });
  while (wanted) {
    sockets.forEach((socket, flow) => {
      socket.send(datagram(flow, END, size), refused);
    });
    await delay(20);
  }
  process.exit(0);
}

async function opened() {
  const socket = createSocket('udp4');
  socket.connect(Number(port), address);
  await once(socket, 'connect');
  return socket;
}

/** Resolves when the last of them has been handed over. */
function burst(socket, flow, { number, count, size }) {
  const end = Math.min(number + BURST, count);
  return new Promise((resolve) => {
    for (let n = number; n < end; n += 1) {
      socket.send(datagram(flow, n, size), n === end - 1 ? resolve : refused);
    }
  });
}

/** A datagram that the kernel has no room for is lost, as any may be. */
function refused() {}

function datagram(flow, number, size) {
  const payload = Buffer.alloc(size);
  payload.writeUInt32BE(flow, 0);
  payload.writeUInt32BE(number, 4);
  return payload;
}

const numbers = counts.map(Number);
await (mode === 'receive' ? receive(...numbers) : send(...numbers));
