// Numbers and moments as people read them. `undefined` is not known: a dash.

const UNKNOWN = '–';

/** Bits per second from bytes per second: `1.24 Gb/s`. */
export function bitRate(bytesPerSecond) {
  if (bytesPerSecond === undefined) return UNKNOWN;
  return `${scaled(bytesPerSecond < 0.05 ? 0 : bytesPerSecond * 8, 1000)}b/s`;
}

/** `12.3 k/s` */
export function perSecond(rate) {
  if (rate === undefined) return UNKNOWN;
  // What is left of a rate that has ended fades away by halves: less than this is nothing.
  return `${scaled(rate < 0.05 ? 0 : rate, 1000).trimEnd()}/s`;
}

/** `1.5 GiB` */
export function bytes(count) {
  if (count === undefined) return UNKNOWN;
  return count < 1024 ? `${count} B` : `${scaled(count, 1024).replace('k', 'K')}iB`;
}

/** `12 345 678`, as it is. */
export function whole(count) {
  return count === undefined ? UNKNOWN : String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** Microseconds: `0.21 ms`. */
export function roundTrip(microseconds) {
  if (microseconds === undefined) return UNKNOWN;
  return microseconds < 1000
    ? `${Math.round(microseconds)} µs`
    : `${short(microseconds / 1000)} ms`;
}

/** Seconds: `3 h 12 min`, the two largest units. */
export function duration(seconds) {
  if (seconds === undefined) return UNKNOWN;
  const parts = [];
  let left = Math.max(0, Math.floor(seconds));
  for (const [name, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0 s' : parts.join(' ');
}

/** The time of day here, with the date when it is not today's. */
export function moment(at, now = new Date()) {
  if (at === undefined) return UNKNOWN;
  const time = new Date(at);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  if (time.toDateString() === now.toDateString()) return clock;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`;
}

/** The text, or its beginning and an ellipsis. */
export function shortened(text, most) {
  const letters = [...text];
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join('')}…`;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

function scaled(value, step) {
  let rest = value;
  for (const prefix of ['', 'k', 'M', 'G']) {
    // What would be shown as 1000 belongs to the next prefix.
    if (Math.abs(rest) < step - 0.5) return `${short(rest)} ${prefix}`;
    rest /= step;
  }
  return `${short(rest)} T`;
}

/** Three digits that count. */
function short(value) {
  if (value === 0) return '0';
  if (Math.abs(value) < 0.1) return '<0.1';
  return String(Number(value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)));
}

function two(number) {
  return String(number).padStart(2, '0');
}
