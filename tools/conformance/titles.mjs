// How tests name the conformance rows that they prove.
//
// A row is a section letter and a number: A6. A TypeScript test has `[A6]` in its title or in that of a `describe`
// around it, several as `[B26] [B27]`. A Rust test function begins with its rows: `a6_a7_short_payload_is_counted`,
// behind `root_` when it needs root: `root_o251_a_deleted_device_is_gone`.

/** The rows that the full title of a TypeScript test names. */
export function rowsOfTitle(title) {
  return [...title.matchAll(/\[([A-Z]\d+)\]/g)].map(([, row]) => row);
}

/** The rows that the path of a Rust test names, as in `wire::vxlan::tests::b25_i_flag_clear`. */
export function rowsOfRustTest(path) {
  const name = path.split('::').at(-1);
  const rows = /^(?:root_)?((?:[a-z]\d+_)+)/.exec(name)?.[1] ?? '';
  return rows
    .split('_')
    .filter(Boolean)
    .map((row) => row.toUpperCase());
}
