/**
 * What the addon offers, as napi-rs generated it, against what the program expects of it. Nothing here runs: the
 * compiler is the judge (`npm run lint`).
 *
 * The suffix `.d.js` leads past `binding.ts`, which an import of `binding.js` would find.
 */

import type * as generated from '../../src/datapath/binding.d.js';
import type * as seam from '../../src/datapath/seam.js';

/** The addon's functions and class can stand for those that the program calls. */
export type AddonFits = Fits<typeof generated, seam.Addon>;

// Parameters of methods are compared leniently, and so are absent keys: plain data must be the same, key by key.
export type SameDesiredState = True<Same<seam.DesiredState, generated.DesiredState>>;
export type SameMemoryDatagram = True<Same<seam.MemoryDatagram, generated.MemoryDatagram>>;
export type SameApplyReport = True<Same<seam.ApplyReport, generated.ApplyReport>>;
export type SameCounters = True<Same<seam.Counters, generated.Counters>>;
export type SameFdbEntry = True<Same<seam.FdbEntry, generated.FdbEntry>>;
export type SameCaptureSpec = True<Same<seam.CaptureSpec, generated.CaptureSpec>>;
export type SameCaptureStatus = True<Same<seam.CaptureStatus, generated.CaptureStatus>>;
export type SameTraceRequest = True<Same<seam.TraceRequest, generated.TraceRequest>>;
export type SameTrace = True<Same<seam.Trace, generated.Trace>>;
export type SameHistory = True<Same<seam.History, generated.History>>;
export type SameProbe = True<Same<seam.Probe, generated.Probe>>;
export type SameOwnedTap = True<Same<seam.OwnedTap, generated.OwnedTap>>;

/** Events are the same but for types that are not known yet. */
export type SameEventTypes = True<Same<seam.EventType, generated.DatapathEvent['type']>>;
export type SameEventFields = True<
  Same<Omit<seam.DatapathEvent, 'type'>, Omit<generated.DatapathEvent, 'type'>>
>;

type Fits<Given extends Wanted, Wanted> = Given;
type True<Claim extends true> = Claim;

/** Identical for the compiler, not only assignable; `any` is the same as nothing else. */
type Same<A, B> =
  (<T>() => T extends Plain<A> ? 1 : 2) extends <T>() => T extends Plain<B> ? 1 : 2 ? true : false;

/** The keys and values of a type all the way down, whatever its interfaces are called. */
type Plain<T> = T extends Uint8Array ? T : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
