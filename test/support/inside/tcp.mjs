// One end of a TCP exchange, run inside a container. Both ends send `bytes` pseudo-random bytes at the same
// time and hash what they send and what they get; the answer is one line of JSON when both directions ended.
//   node tcp.mjs listen ADDRESS PORT BYTES
//   node tcp.mjs connect ADDRESS PORT BYTES
// BYTES `endless`: sends until stdin ends. Every change of the received count is told as `got N`.
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const [mode, address, port, bytes] = process.argv.slice(2);

/** Random bytes at memory speed: a stream cipher over zeros. */
async function* random(total) {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(65536);
  for (let left = total; left > 0 && !ended; left -= zeros.length) {
    yield cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
  }
}

async function exchange(socket) {
  const sent = createHash('sha256');
  const received = createHash('sha256');
  let sentBytes = 0;
  let receivedBytes = 0;
  // Not `for await`: that destroys the socket when reading ends, though we may still be writing.
  socket.on('data', (chunk) => {
    received.update(chunk);
    receivedBytes += chunk.length;
  });
  const readEnd = once(socket, 'end');
  const report = setInterval(() => console.log(`got ${receivedBytes}`), 100);
  for await (const chunk of random(
    bytes === 'endless' ? Number.POSITIVE_INFINITY : Number(bytes),
  )) {
    sent.update(chunk);
    sentBytes += chunk.length;
    if (!socket.write(chunk)) await once(socket, 'drain');
    if (bytes === 'endless') await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // Our last bytes may still wait for room in the kernel when the other end has said its last.
  const flushed = once(socket, 'finish');
  socket.end();
  await Promise.all([readEnd, flushed]);
  clearInterval(report);
  console.log(
    JSON.stringify({
      sent: { bytes: sentBytes, sha256: sent.digest('hex') },
      received: { bytes: receivedBytes, sha256: received.digest('hex') },
    }),
  );
}

let ended = false;
if (bytes === 'endless') {
  process.stdin.resume().on('end', () => {
    ended = true;
  });
}
const socket = await new Promise((resolve, reject) => {
  if (mode === 'listen') {
    const server = createServer({ allowHalfOpen: true }, (accepted) => {
      server.close();
      resolve(accepted);
    });
    server.listen(Number(port), address, () => console.log('listening'));
  } else {
    const options = { host: address, port: Number(port), allowHalfOpen: true };
    const outgoing = connect(options, () => resolve(outgoing)).once('error', reject);
  }
});
await exchange(socket);
process.exit(0);
