/** Which link file udev would apply to a TAP: systemd.link(5). */

import { expect, it } from 'vitest';
import { macRewriter } from '../../../../src/daemon/doctor/linkFiles.js';

const DEFAULT = {
  path: '/usr/lib/systemd/network/99-default.link',
  text: '# SPDX\n[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel\nMACAddressPolicy=persistent\n',
};
const file = (match: string, policy: string) => ({
  path: '/etc/systemd/network/50-a.link',
  text: `[Match]\n${match}\n[Link]\nMACAddressPolicy=${policy}\n`,
});

it.each([
  ['nothing', [], undefined],
  ["systemd's own", [DEFAULT], DEFAULT.path],
  ['the fix', [file('Driver=tun', 'none'), DEFAULT], undefined],
  ['one for another driver', [file('Driver=e1000', 'none'), DEFAULT], DEFAULT.path],
  ['one for a name', [file('OriginalName=eth*', 'persistent')], undefined],
  ['one for several drivers', [file('Driver=veth tun', 'persistent')], file('', '').path],
  [
    'one without a match',
    [{ path: '/x.link', text: '[Link]\nMACAddressPolicy=persistent' }],
    undefined,
  ],
])('%s', (_what, files, path) => {
  expect(macRewriter(files)?.path).toBe(path);
});
