// Makes docs/old-kernels.md of what the suite `old-kernel` did.

const RELEASE = /^at '([\d.]+)' > (.+)$/;

/**
 * The page as text, or `undefined` when the run left a test of the table out. `results` are those of the reporter: a
 * title is `at 'RELEASE' > FEATURE`, or `at 'RELEASE' > FEATURE – WHY` where that passes without the feature.
 *
 * The text holds no date and no duration, so that it changes only when a test or a result does.
 */
export function oldKernels(results) {
  const cells = new Map();
  for (const { suite, title, outcome } of results) {
    const [, release, rest] = (suite === 'old-kernel' && RELEASE.exec(title)) || [];
    if (release === undefined) continue;
    if (outcome === 'skipped') return undefined;
    const [feature, why] = rest.split(' – ');
    if (!cells.has(feature)) cells.set(feature, new Map());
    cells
      .get(feature)
      .set(release, outcome === 'failed' ? '✗' : why === undefined ? '✓' : `– ${why}`);
  }
  const releases = [...new Set([...cells.values()].flatMap((row) => [...row.keys()]))];
  if (releases.length === 0) return undefined;
  const table = [
    ['', ...releases],
    ['---', ...releases.map(() => '---')],
    ...[...cells].map(([feature, row]) => [feature, ...releases.map((key) => row.get(key) ?? '')]),
  ];
  return `${HEAD}\n${table.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`;
}

const HEAD = `# Old kernels

What vswitchd and vswitchctl do when everything that came to Linux after a release is refused to them, as
\`npm run test:old-kernel\` last found (✓ works). They run under \`tools/oldkernel\`, a filter of system calls that answers
as that release would: no such system call, no such socket option, no such ioctl, no such kind of socket. The peer is
the kernel's own vxlan, or a second vswitchd as old as the first.

This is the interface of those releases on a newer kernel, not those kernels. What stands behind pointers is beyond such a
filter: control messages, netlink, and flags of TUNSETIFF, so TAPs of several queues are there before Linux 3.8 too. \`uname\` says
2.6.78 up to 3.16. What a distribution added to its kernel is missing: that of CentOS 6 calls itself 2.6.32, and has
setns, recvmmsg and sendmmsg.
`;
