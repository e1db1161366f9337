// What this host offers, and what to do about what it lacks.

import type { DoctorView } from '../../control/views.js';
import type { Check } from './check.js';
import { datapathChecks } from './datapathChecks.js';
import type { Facts } from './facts.js';
import { rightsChecks, runtimeChecks, systemChecks } from './hostChecks.js';
import { portChecks, possiblePorts, verdictOf } from './portChecks.js';
import { underlayChecks } from './underlayChecks.js';

/** Everything that is known, judged; grouped, in the order in which one thing rests on another. Pure. */
export function diagnose(facts: Facts): DoctorView {
  const found = [
    ...runtimeChecks(facts),
    ...portChecks(facts),
    ...rightsChecks(facts),
    ...datapathChecks(facts),
    ...underlayChecks(facts),
    ...systemChecks(facts),
  ];
  const checks = GROUPS.flatMap((group) => found.filter((check) => check.group === group));
  const ready = checks.every((check) => check.ok || !check.needed);
  return { ready, verdict: ready ? verdictOf(possiblePorts(facts)) : 'not ready', checks };
}

const GROUPS: readonly Check['group'][] = [
  'kernel and runtime',
  'rights',
  'ports',
  'datapath',
  'underlay',
  'system',
];
