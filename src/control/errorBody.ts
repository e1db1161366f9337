// An error as the API answers it. The CLI prints its own in the same shape.

import type { SwitchError } from '../model/error.js';
import type { ErrorView } from './views.js';

export function errorBody({ code, message, facts }: SwitchError): ErrorView {
  return {
    code,
    message,
    ...(facts.problems === undefined ? {} : { problems: [...facts.problems] }),
  };
}
