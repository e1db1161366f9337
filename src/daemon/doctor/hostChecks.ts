// Kernel, runtime, rights and what else runs on the machine.

import { sentences } from '../../model/sentences.js';
import { type Check, harmless, judged, needed, optional, readable } from './check.js';
import type { Facts, UserNamespaces } from './facts.js';
import { macRewriter } from './linkFiles.js';

export function runtimeChecks({ kernel, node, glibc, probe }: Facts): Check[] {
  const group = 'kernel and runtime';
  const [major = 0, minor = 0] = node.split('.').map(Number);
  return [
    judged('ok', {
      ...{ group, name: 'kernel', detail: `Linux ${kernel}` },
      why: 'what it offers is tried below',
    }),
    needed(major > 20 || (major === 20 && minor >= 17), {
      ...{ group, name: 'Node.js', detail: node },
      why: 'vswitchd runs on 20.17 or later',
      fix: 'install Node.js 20.17 or later; for a glibc before 2.28 the build `glibc-217` of unofficial-builds.nodejs.org',
    }),
    judged('ok', {
      ...{ group, name: 'C library', detail: glibc === undefined ? 'no glibc' : `glibc ${glibc}` },
      why: 'Node.js and the addon are linked with it',
    }),
    needed('value' in probe, {
      ...{ group, name: 'addon' },
      detail: 'unread' in probe ? probe.unread : undefined,
      why: 'it moves the frames',
      fix: sentences.NO_ADDON.fix,
    }),
  ];
}

const RIGHTS: readonly (readonly [name: string, why: string, fix: string])[] = [
  [
    'CAP_SYS_ADMIN',
    "enters containers' network namespaces",
    'run vswitchd as root; rootless ports need it not: they are handed over by their owner',
  ],
  [
    'CAP_NET_RAW',
    'packet ports, and datapath.underlay: ring',
    'run it as root, or give the container --cap-add NET_RAW',
  ],
  [
    'CAP_BPF',
    'datapath.underlay: ring and tunnel-gso: speed',
    'run it as root, or give the container --cap-add BPF; Linux 5.8 or later',
  ],
];

/** CAP_NET_ADMIN stands with the ports: it was tried, and whether it is needed depends on them. */
export function rightsChecks({ capabilities, userNamespaces }: Facts): Check[] {
  const group = 'rights';
  const why = 'rootless ports: ordinary users hand over the TAPs of their containers';
  return [
    ...readable(capabilities, { group, name: 'capabilities', why: RIGHTS_WHY }, (held) =>
      RIGHTS.map(([name, matters, fix]) =>
        optional(held.has(name), { group, name, why: matters, fix }),
      ),
    ),
    ...readable(userNamespaces, { group, name: 'user namespaces', why }, (found) => [
      optional(userNamespacesUsable(found), {
        ...{ group, name: 'user namespaces', why, ...userNamespacesFix(found) },
      }),
    ]),
  ];
}

const RIGHTS_WHY = 'they decide which ports are possible';

/** For users without rights. */
export function userNamespacesUsable({ most, unprivileged, restricted }: UserNamespaces): boolean {
  return (most ?? 0) > 0 && unprivileged !== 0 && restricted !== 1;
}

function userNamespacesFix({ most, unprivileged, restricted }: UserNamespaces) {
  if (most === undefined)
    return { detail: 'unknown to this kernel', fix: 'Linux 4.9 or later with CONFIG_USER_NS' };
  if (most === 0)
    return {
      detail: 'user.max_user_namespaces is 0',
      fix: '`sysctl -w user.max_user_namespaces=15000`',
    };
  if (unprivileged === 0)
    return {
      detail: 'kernel.unprivileged_userns_clone is 0',
      fix: '`sysctl -w kernel.unprivileged_userns_clone=1`',
    };
  if (restricted === 1)
    return {
      detail: 'AppArmor takes the capabilities of users in them',
      fix: '`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or an AppArmor profile with `userns`',
    };
  return {};
}

export function systemChecks({ linkFiles, kernelVxlan, purpose }: Facts): Check[] {
  const group = 'system';
  const link = {
    group,
    name: 'TAP MACs',
    why: 'udev may give a new TAP another MAC than ours',
  } as const;
  const vxlan = {
    group,
    name: 'kernel vxlan',
    why: 'not needed; a peer that has it is one like any other',
  } as const;
  return [
    ...readable(linkFiles, link, (files) => {
      const rewriter = files && macRewriter(files);
      return [
        harmless(rewriter === undefined, {
          ...link,
          detail:
            files === undefined
              ? 'no udev runs'
              : rewriter && `MACAddressPolicy=persistent in ${rewriter.path}`,
          fix: 'write `[Match]`, `Driver=tun`, `[Link]`, `MACAddressPolicy=none` to /etc/systemd/network/50-vswitchd.link, a line each',
        }),
      ];
    }),
    ...readable(kernelVxlan, vxlan, (found) => [
      judged('ok', { ...vxlan, detail: VXLAN_DETAIL[found] }),
    ]),
    ...(purpose.store === undefined ? [] : [storeCheck(purpose.store)]),
  ];
}

const VXLAN_DETAIL = {
  there: 'in the kernel',
  module: 'as a module',
  absent: 'this kernel has none',
};

/** Whether the store answers: what is attached works without it. */
function storeCheck({ name, state, detail }: NonNullable<Facts['purpose']['store']>): Check {
  return optional(state === 'connected', {
    ...{ group: 'system', name: `store ${name}`, detail },
    why: 'hosts learn of each other and of networks through it',
    fix: sentences.STORE_DOWN.fix,
  });
}
