// Changes that stand for themselves, and as many of them as fit into one transaction.

import {
  type Condition,
  TRANSACTION_MAX,
  type Transaction,
  type Write,
} from '../../store/store.js';

/** A change that happens whole or not at all. */
export interface Unit {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

/**
 * A transaction of the first units, as many as fit; `undefined` when there are none. Units that write
 * the same key never go together: the later one is decided anew.
 *
 * @param most how many units at most
 */
export function pack(units: readonly Unit[], most = TRANSACTION_MAX): Transaction | undefined {
  const conditions = new Map<string, Condition>();
  const writes = new Map<string, Write>();
  for (const unit of units.slice(0, most)) {
    const added = new Map(unit.conditions.map((condition) => [condition.key, condition]));
    for (const key of conditions.keys()) added.delete(key);
    const size = conditions.size + writes.size + added.size + unit.writes.length;
    const collides = unit.writes.some(({ key }) => writes.has(key));
    if (writes.size > 0 && (size > TRANSACTION_MAX || collides)) break;
    for (const [key, condition] of added) conditions.set(key, condition);
    for (const write of unit.writes) writes.set(write.key, write);
  }
  if (writes.size === 0) return undefined;
  return { conditions: [...conditions.values()], writes: [...writes.values()] };
}
