// Says which step runs and for how long: a ticking line on a terminal, now and then a line elsewhere.
import { run, SetupError } from './child.mjs';

const tickMillis = 100;
const reminderMillis = 20_000;
const failureLines = 60;

/**
 * Does one step. `work` gets `command(program, args, options)`, which runs a program, shows its latest line of
 * output while it runs and throws a SetupError with the end of its output when it fails.
 */
export async function step(title, work) {
  const line = process.stderr.isTTY ? tickingLine(title) : plainLine(title);
  try {
    await work((program, args, options) => command(program, args, options, line));
  } catch (error) {
    line.end('failed');
    throw error;
  }
  line.end('done');
}

async function command(program, args, options, line) {
  const { code, output } = await run(program, args, { ...options, onOutput: line.note });
  if (code === 0) return output;
  const end = output.trimEnd().split('\n').slice(-failureLines).join('\n');
  throw new SetupError(
    `${end}\n\n\`${[program, ...args].join(' ')}\` failed with exit code ${code}.`,
  );
}

function tickingLine(title) {
  const began = Date.now();
  let latest = '';
  const draw = () => {
    const width = process.stderr.columns ?? 80;
    const text = `  ${title} ${seconds(began)}  ${latest}`;
    process.stderr.write(`\r\x1b[K${text.slice(0, width - 1)}`);
  };
  const timer = setInterval(draw, tickMillis);
  draw();
  return {
    note: (output) => {
      latest = output.trim().split('\n').at(-1).trim();
    },
    end: (outcome) => {
      clearInterval(timer);
      process.stderr.write(`\r\x1b[K  ${title}: ${outcome} after ${seconds(began)}\n`);
    },
  };
}

function plainLine(title) {
  const began = Date.now();
  process.stderr.write(`  ${title} ...\n`);
  const timer = setInterval(() => {
    process.stderr.write(`  ${title} ... ${seconds(began)}\n`);
  }, reminderMillis);
  return {
    note: () => {},
    end: (outcome) => {
      clearInterval(timer);
      process.stderr.write(`  ${title}: ${outcome} after ${seconds(began)}\n`);
    },
  };
}

function seconds(began) {
  return `${Math.round((Date.now() - began) / 1000)} s`;
}
