/** Captures as Wireshark's programs see them, which must have nothing to complain of. */

import { execa } from 'execa';

/** One packet: all values of each field that was asked for, joined by `,`; '' where it has none. */
export type Row<Field extends string> = Readonly<Record<Field, string>>;

/** The packets of a file, or of those that `filter` (a display filter) takes. Throws when tshark warns of anything. */
export async function readCapture<Field extends string>(
  file: string,
  fields: readonly Field[],
  filter = '',
): Promise<readonly Row<Field>[]> {
  const text = await tshark([
    ...['-n', '-r', file, ...(filter === '' ? [] : ['-Y', filter])],
    ...fieldArguments(fields),
  ]);
  return rowsOf(text, fields);
}

/** Arguments that make tshark print `fields`, for `rowsOf`. */
export function fieldArguments(fields: readonly string[]): string[] {
  return ['-T', 'fields', '-E', 'separator=/t', ...fields.flatMap((field) => ['-e', field])];
}

export function rowsOf<Field extends string>(
  text: string,
  fields: readonly Field[],
): readonly Row<Field>[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const values = line.split('\t');
    return Object.fromEntries(fields.map((field, n) => [field, values[n] ?? ''])) as Row<Field>;
  });
}

/** Throws unless tshark and capinfos read the file to its end and find neither errors nor warnings in any packet. */
export async function expectFlawless(file: string): Promise<void> {
  const experts = await tshark(['-n', '-r', file, '-q', '-z', 'expert,warn']);
  if (/^(Errors|Warns) \(/m.test(experts)) throw new Error(`tshark's experts: ${experts}`);
  const { stderr } = await execa('capinfos', [file]);
  if (stderr !== '') throw new Error(`capinfos: ${stderr}`);
}

/** Standard output; throws when there is anything but the remark about root on standard error. */
export async function tshark(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await execa('tshark', args);
  const complaints = complaintsOf(stderr);
  if (complaints !== '') throw new Error(`tshark ${args.join(' ')}: ${complaints}`);
  return stdout;
}

/** What tshark says beside that it runs as root, and how many packets there were. */
export function complaintsOf(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => !HARMLESS.test(line));
  return lines.join('\n').trim();
}

const HARMLESS =
  /^Running as user "root"|^\d+ packets? captured$|^Capturing on |Main MESSAGE|^tshark: *$/;
