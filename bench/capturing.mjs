// What a capture costs: TCP through two vswitchds, while one of them captures and while it does not, in turns.
import { join } from 'node:path';
import { root } from '../tools/setup/child.mjs';
import { begin, contestants } from './contestants/index.mjs';
import { Lab } from './lab/lab.mjs';
import { asText, spread } from './report/figures.mjs';
import { markdown } from './report/markdown.mjs';
import { works } from './works/index.mjs';

const rounds = { thorough: 5, quick: 2 };
const seconds = { thorough: 10, quick: 2 };

/** What is compared with no capture. A ring of two files bounds what is written. */
const captures = [
  { title: 'frames, 96 bytes of each', flags: ['--inner', '--snaplen', '96'] },
  { title: 'frames, drops only', flags: ['--inner', '--drops'] },
  {
    title: 'frames, 96 bytes, filter `tcp port 80`',
    flags: ['--snaplen', '96', '--filter', 'tcp port 80'],
  },
  { title: 'frames and datagrams, 96 bytes', flags: ['--both', '--snaplen', '96'] },
  { title: 'frames, whole', flags: ['--inner'] },
];

/** Prints throughput and its ratio to no capture in the same round; returns an exit code. */
export async function measureCapturing({ quick }, signal) {
  const pace = quick ? 'quick' : 'thorough';
  const lab = new Lab(signal);
  try {
    const vswitchd = contestants.find(({ name }) => name === 'vswitchd');
    const site = await begin(lab, vswitchd, 'full');
    const [sending, receiving] = [
      { title: 'at the sender', work: works.find(({ name }) => name === 'tcp1') },
      { title: 'at the receiver', work: works.find(({ name }) => name === 'tcp1r') },
    ];
    const rows = [];
    for (const { title, work } of [sending, receiving]) {
      const measured = await inTurns(lab, site, { work, pace });
      rows.push(...measured.map((row) => [`${title}: ${row[0]}`, ...row.slice(1)]));
    }
    console.log(
      `\nTCP, 1 stream, ${seconds[pace]} s each; median (smallest-largest) of ${rounds[pace]} rounds.\n`,
    );
    console.log(markdown([['capture', 'Gbit/s', 'to no capture', 'lost packets'], ...rows]));
    return 0;
  } finally {
    await lab.close();
  }
}

/** One row for each capture, and first the one without. Neighbours in time are compared. */
async function inTurns(lab, site, { work, pace }) {
  const series = captures.map(() => ({ rates: [], ratios: [], lost: [], taken: [] }));
  const bare = [];
  for (let round = 0; round < rounds[pace]; round += 1) {
    for (const [i, { flags }] of captures.entries()) {
      const without = await work.measure(lab, site, { seconds: seconds[pace] });
      const { rate, lost, taken } = await whileCapturing(lab, site, flags, () =>
        work.measure(lab, site, { seconds: seconds[pace] }),
      );
      bare.push(without.rate);
      series[i].rates.push(rate);
      series[i].ratios.push(rate / without.rate);
      series[i].lost.push(lost);
      series[i].taken.push(taken);
    }
  }
  return [
    ['none', told(bare), '1', '-'],
    ...series.map(({ rates, ratios, lost, taken }, i) => [
      captures[i].title,
      told(rates),
      told(ratios),
      `${sum(lost)} of ${sum(lost) + sum(taken)}`,
    ]),
  ];
}

async function whileCapturing(lab, site, flags, measure) {
  const folder = lab.folder('capture');
  const [socket] = site.sockets;
  const child = lab.spawn(site.host, [
    process.execPath,
    join(root, 'dist/bin/vswitchctl.js'),
    ...['--socket', socket, 'capture', 'net', ...flags],
    ...['-w', join(folder, 'taken.pcapng'), '--rotate', '64M', '--files', '2'],
  ]);
  await child.saying(/capturing/, lab.signal);
  const { rate } = await measure();
  await child.stop();
  const [, taken, lost] = /(\d+) packets captured, (\d+) lost/.exec(child.stderr) ?? [];
  if (taken === undefined) throw new Error(`${child.name}: ${child.describe()}`);
  return { rate, taken: Number(taken), lost: Number(lost) };
}

function told(values) {
  const { min, median, max } = spread(values);
  return `${asText(median)} (${asText(min)}-${asText(max)})`;
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
