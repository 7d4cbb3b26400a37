/**
 * What an unknown error says, by its shape. `instanceof Error` is no test for an error of Node.js itself: it may come from
 * another realm (workers, the vm module) with another `Error`.
 */

/** The system's or Node's code, such as ENOENT; undefined when there is none. */
export function codeOf(error: unknown): string | undefined {
  const code = property(error, 'code');
  return typeof code === 'string' ? code : undefined;
}

export function nameOf(error: unknown): string | undefined {
  const name = property(error, 'name');
  return typeof name === 'string' ? name : undefined;
}

/** Its message. An aggregate, as a name with several addresses causes it, has none of its own: its first error's. */
export function reasonOf(error: unknown): string {
  const message = property(error, 'message');
  if (typeof message === 'string' && message !== '') return message;
  const errors = property(error, 'errors');
  return Array.isArray(errors) && errors.length > 0 ? reasonOf(errors[0]) : String(error);
}

/** Anything thrown, as an Error with its stack. */
export function toError(error: unknown): Error {
  return typeof property(error, 'stack') === 'string' ? (error as Error) : new Error(String(error));
}

function property(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[name] : undefined;
}
