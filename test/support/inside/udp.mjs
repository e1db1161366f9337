// One end of UDP flows, run inside a container.
//   node udp.mjs echo ADDRESS PORT                        answers every datagram with itself
//   node udp.mjs ask ADDRESS PORT FLOWS COUNT SIZE        FLOWS source ports, COUNT datagrams on each;
//                                                          prints {"asked":n,"answered":n} and ends
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const [mode, address, port, ...counts] = process.argv.slice(2);
const type = isIPv6(address) ? 'udp6' : 'udp4';

async function echo() {
  const socket = createSocket(type);
  socket.on('message', (payload, from) => socket.send(payload, from.port, from.address));
  socket.bind(Number(port), address);
  await once(socket, 'listening');
  console.log('listening');
}

/** Sends on one flow, one datagram at a time; an unanswered one is given up after 2 s. */
async function flow(count, size) {
  const socket = createSocket(type);
  socket.connect(Number(port), address);
  await once(socket, 'connect');
  let answered = 0;
  for (let n = 0; n < count; n += 1) {
    const payload = Buffer.alloc(size, n);
    const answer = once(socket, 'message');
    socket.send(payload);
    const got = await Promise.race([answer, delay(2000)]);
    if (got?.[0].equals(payload)) answered += 1;
  }
  socket.close();
  return answered;
}

async function ask(flows, count, size) {
  let answered = 0;
  for (let n = 0; n < flows; n += 1) answered += await flow(count, size);
  console.log(JSON.stringify({ asked: flows * count, answered }));
  process.exit(0);
}

await (mode === 'echo' ? echo() : ask(...counts.map(Number)));
