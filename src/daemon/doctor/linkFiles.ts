// systemd.link(5): which file tells udev to give our TAPs another MAC.

export interface LinkFile {
  readonly path: string;
  readonly text: string;
}

/** The file's settings, by section; of several with one name the last counts. */
function sectionsOf(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split('\n').map((one) => one.trim())) {
    const heading = /^\[(.+)\]$/.exec(line)?.[1];
    if (heading !== undefined) {
      section = sections.get(heading) ?? new Map();
      sections.set(heading, section);
    }
    const [, key, value] = /^([A-Za-z0-9]+)\s*=\s*(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) section?.set(key, value);
  }
  return sections;
}

/**
 * The file whose MACAddressPolicy=persistent takes hold of a TAP; undefined when none does. Files in the
 * order in which udev asks them: the first that matches an interface is the only one for it.
 */
export function macRewriter(files: readonly LinkFile[]): LinkFile | undefined {
  const first = files.find(({ text }) => matchesTap(sectionsOf(text).get('Match')));
  const policy = first && sectionsOf(first.text).get('Link')?.get('MACAddressPolicy');
  return policy === 'persistent' ? first : undefined;
}

/** Whether [Match] is true of any TAP, whatever its name; false where it asks for what a TAP does not have. */
function matchesTap(match: ReadonlyMap<string, string> | undefined): boolean {
  if (match === undefined || match.size === 0) return false;
  return [...match].every(([key, value]) => {
    const words = value.split(/\s+/);
    if (key === 'OriginalName') return words.includes('*');
    return key === 'Driver' && words.includes('tun');
  });
}
