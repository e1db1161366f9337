// What etcd's refusals mean to us.

import { type ServiceError, status } from '@grpc/grpc-js';
import { SwitchError } from '../model/error.js';
import { isUntrusted } from './storeAccess.js';

/** etcd gives these the code of a malformed request. */
const UNKNOWN_USER = /authentication failed|user name is empty|permission denied/;

/** `store` is its name. STORE_DOWN where the request may succeed on another member or later. */
export function errorOfEtcd(store: string, error: unknown): SwitchError {
  if (error instanceof SwitchError) return error;
  const { code, details, message } = error as ServiceError;
  const detail = details || message;
  if (code === status.OUT_OF_RANGE) return new SwitchError('STORE_COMPACTED', store, { detail });
  return new SwitchError(codeOf(code, detail), store, { detail });
}

function codeOf(code: status | undefined, detail: string) {
  switch (code) {
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return 'STORE_DENIED';
    case status.INVALID_ARGUMENT:
      return UNKNOWN_USER.test(detail) ? 'STORE_DENIED' : 'STORE_REFUSED';
    case status.UNAVAILABLE:
      return isUntrusted(detail) ? 'STORE_DENIED' : 'STORE_DOWN';
    case status.RESOURCE_EXHAUSTED:
    case status.FAILED_PRECONDITION:
    case status.NOT_FOUND:
    case status.UNIMPLEMENTED:
      return 'STORE_REFUSED';
    default:
      return 'STORE_DOWN';
  }
}

/** Whether etcd has forgotten our token, as it does when it restarts, or its users have changed. */
export function isStaleToken(error: unknown): boolean {
  return /invalid auth token|revision of auth store is old/.test((error as Error).message);
}

/** Whether etcd needs no user at all. */
export function isOpenToAll(error: unknown): boolean {
  return /authentication is not enabled/.test((error as Error).message);
}

/** Of an error that `errorOfEtcd` gave. */
export function isNoSuchLease(error: unknown): boolean {
  return /requested lease not found/.test((error as SwitchError).facts?.detail ?? '');
}
