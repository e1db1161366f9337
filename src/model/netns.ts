// Where a network namespace is found: a path to its file in /run/netns or /proc (namespaces(7)).

/**
 * The file of a network namespace: a name means `/run/netns/NAME` (ip-netns(8)), digits a process,
 * anything with a slash is the path itself.
 */
export function netnsPath(text: string): string {
  if (text.includes('/')) return text;
  return /^\d+$/.test(text) ? `/proc/${text}/ns/net` : `/run/netns/${text}`;
}

/** The short name of a namespace path for tables: what `netnsPath` would turn back into it. */
export function netnsName(path: string): string {
  return (
    /^\/run\/netns\/([^/]+)$/.exec(path)?.[1] ?? /^\/proc\/(\d+)\/ns\/net$/.exec(path)?.[1] ?? path
  );
}
