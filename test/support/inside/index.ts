import { fileURLToPath } from 'node:url';

/** The path of a script that runs inside a namespace with plain Node. */
export function insideScript(name: 'tcp' | 'udp' | 'rawIp' | 'sequence' | 'switch'): string {
  return fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
}
