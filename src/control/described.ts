// One route as the OpenAPI document tells of it.

import type * as z from 'zod';
import { errorView } from './views.js';

/** What a route is asked with, besides its path. */
interface Asked {
  readonly params?: z.ZodType;
  readonly querystring?: z.ZodType;
  readonly body?: z.ZodType;
}

/** Every route may answer with an error instead. */
export function described<const S extends Asked, R extends z.ZodType>(
  [operationId, summary]: readonly [operationId: string, summary: string],
  result: R,
  asked: S = {} as S,
) {
  const response = { 200: result, '4xx': errorView, '5xx': errorView };
  return { schema: { operationId, summary, ...asked, response } };
}
