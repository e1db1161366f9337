// Sends three VXLAN datagrams for VNI 999, each with an empty frame: node strayDatagrams.mjs FROM TO
import { createSocket } from 'node:dgram';
import { promisify } from 'node:util';

const [from, to] = process.argv.slice(2);
const header = Buffer.from('080000000003e700', 'hex');
const frame = Buffer.alloc(60);
const socket = createSocket('udp4');
await promisify((done) => socket.bind(0, from, done))();
const send = promisify(socket.send.bind(socket));
for (let i = 0; i < 3; i += 1) await send(Buffer.concat([header, frame]), 4789, to);
socket.close();
