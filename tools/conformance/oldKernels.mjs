// Makes the tables of old kernels of what the suite `old-kernel` did.

const RELEASE = /^at '([\d.]+)' > (.+)$/;

/**
 * `{ page, table }` as text: docs/old-kernels.md, and its first table; `undefined` when the run left a test of them out.
 *
 * `results` are those of the reporter: a title is `at 'RELEASE' > FEATURE`, or `at 'RELEASE' > FEATURE – WHY` where that
 * passes without the feature. A test that has found something out, `found`, is a row of the second table. The text holds
 * no date and no duration, so that it changes only when a test or a result does.
 */
export function oldKernels(results) {
  const works = new Map();
  const refused = new Map();
  const mine = results.filter(({ suite, title }) => suite === 'old-kernel' && RELEASE.test(title));
  if (mine.length === 0 || mine.some(({ outcome }) => outcome === 'skipped')) return undefined;
  // Not in the order of the run, which begins with what took longest the last time.
  for (const { title, outcome, found } of mine.toSorted(byFile)) {
    const [, release, rest] = RELEASE.exec(title);
    const [feature, why] = rest.replace(/ \[[A-Z]\d+\]/g, '').split(' – ');
    if (!works.has(feature)) works.set(feature, new Map());
    const without = why === undefined ? '✓' : `– ${why}`;
    works.get(feature).set(release, outcome === 'failed' ? '✗' : without);
    if (found !== undefined) refused.set(release, found);
  }
  const releases = [...new Set([...works.values()].flatMap((row) => [...row.keys()]))];
  const table = tableOf([
    ['', ...releases],
    ...[...works].map(([feature, row]) => [feature, ...releases.map((key) => row.get(key) ?? '')]),
  ]);
  const found = tableOf([['Linux', 'refused, and done without'], ...refused]);
  return { page: `${HEAD}\n${table}\n${REFUSED}\n${found}`, table };
}

function byFile({ file: a }, { file: b }) {
  return a < b ? -1 : Number(a > b);
}

function tableOf([head, ...rows]) {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((row) => `| ${row.join(' | ')} |\n`).join('');
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

const REFUSED = `## What is asked for and refused

Under \`strace\`: a daemon from its start to its end, with a port and a ping, and the commands \`status\` and \`doctor\`. Each of
these was asked for, by us, by Node or by the C library, and refused; it went on without. No system call that came
after the release was answered otherwise.
`;
