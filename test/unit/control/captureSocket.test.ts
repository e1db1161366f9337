import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CaptureChunks } from '../../../src/control/captureSocket.js';
import { makeFolder } from '../../support/files.js';
import { testScope } from '../../support/testScope.js';

/** A capture that is served by `serve`, and what comes of it. */
async function opened(serve: (socket: Socket) => void): Promise<CaptureChunks> {
  const scope = testScope();
  const path = join(await makeFolder(scope), 'capture.sock');
  const server = createServer({ allowHalfOpen: true }, serve);
  await scope.defer('server', () => new Promise<void>((closed) => server.close(() => closed())));
  server.listen(path);
  await once(server, 'listening');
  const chunks = await CaptureChunks.open(path);
  await scope.defer('connection', () => chunks.destroy());
  return chunks;
}

it('a capture comes whole, chunk by chunk, however long each is looked at', async () => {
  const sent = randomBytes(3_000_000);
  const chunks = await opened((socket) => socket.end(sent));
  const come: Buffer[] = [];
  for await (const chunk of chunks) {
    await new Promise(setImmediate);
    come.push(Buffer.from(chunk));
  }
  expect(Buffer.concat(come).equals(sent)).toBe(true);
});

it('finishing our side of a capture still brings the rest', async () => {
  const chunks = await opened((socket) => {
    socket.write('packets ');
    socket.resume().on('end', () => socket.end('statistics'));
  });
  const come: string[] = [];
  for await (const chunk of chunks) {
    come.push(Buffer.from(chunk).toString());
    chunks.finish();
  }
  expect(come.join('')).toBe('packets statistics');
});

it('a capture whose daemon dies ends', async () => {
  const chunks = await opened((socket) => socket.write('packets', () => socket.destroy()));
  let come = '';
  for await (const chunk of chunks) come += Buffer.from(chunk).toString();
  expect(come).toBe('packets');
});
