// Sends IPv4 packets whose header is written by the caller, run inside a namespace.
// stdin: JSON [{"packet": base64 of the whole packet, "destination": "10.200.0.1"}]; prints `sent N`.
import { text } from 'node:stream/consumers';
import raw from 'raw-socket';

const IPPROTO_RAW = 255; // implies IP_HDRINCL, see raw(7)

const packets = JSON.parse(await text(process.stdin));
const socket = raw.createSocket({ protocol: IPPROTO_RAW });
for (const { packet, destination } of packets) {
  const bytes = Buffer.from(packet, 'base64');
  await new Promise((resolve, reject) => {
    socket.send(bytes, 0, bytes.length, destination, (error) =>
      error ? reject(error) : resolve(undefined),
    );
  });
}
console.log(`sent ${packets.length}`);
socket.close();
