// Inside the virtual machine: runs shell scripts for whoever is at the other end of the second serial line.
//
// One JSON object a line. It says `{ready: true}` once; then each `{id, script}` is answered by
// `{id, code, stdout, stderr}` when the script and all that holds its output have ended. Any number run at a time.
import { execFile } from 'node:child_process';
import { createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const line = '/dev/ttyS1';
const output = openSync(line, 'w');
const answer = (message) => {
  for (let rest = Buffer.from(`${JSON.stringify(message)}\n`); rest.length > 0; ) {
    rest = rest.subarray(writeSync(output, rest));
  }
};

createInterface({ input: createReadStream(line) }).on('line', (text) => {
  const { id, script } = JSON.parse(text);
  execFile('sh', ['-c', script], { maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
    answer({ id, code: error === null ? 0 : (error.code ?? 1), stdout, stderr });
  });
});
answer({ ready: true });
