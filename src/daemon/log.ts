// The log: one line for each event on stderr, written at once (no transports, no threads).
// A terminal gets plain lines, everything else pino's JSON.

import {
  type DestinationStream,
  destination,
  type Level,
  type Logger,
  pino,
  stdTimeFunctions,
} from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = Level | 'silent';

/** Logs to stderr. */
export function stderrLog(level: LogLevel): Logger {
  const stderr = destination({ dest: 2, sync: true });
  return logTo(process.stderr.isTTY ? plainLines(stderr) : stderr, level);
}

export function logTo(stream: DestinationStream, level: LogLevel): Logger {
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level, base: null, timestamp: stdTimeFunctions.isoTime, formatters }, stream);
}

/** `12:00:00 info  port attached port=c1` */
export function plainLines(to: { write(line: string): unknown }): DestinationStream {
  return {
    write(json) {
      const { time, level, msg, ...rest } = JSON.parse(json) as Record<string, unknown>;
      const clock = String(time).slice(11, 19);
      const facts = Object.entries(rest).map(([key, value]) => ` ${key}=${plain(value)}`);
      to.write(`${clock} ${String(level).padEnd(5)} ${String(msg)}${facts.join('')}\n`);
    },
  };
}

function plain(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /[\s"=]/.test(value) ? JSON.stringify(value) : value;
}
