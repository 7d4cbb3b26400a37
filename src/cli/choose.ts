/** Two spellings for one thing (an argument or a flag): exactly one has to be there. */
import { CrdbError } from '../errors.ts';

export interface Spelling {
  readonly as: string;
  readonly value: string | undefined;
}

/** The value of the one spelling that is given. Throws invalid_request when none is, or when they differ. */
export function chooseSpelling(what: string, first: Spelling, second: Spelling): string {
  if (first.value === undefined && second.value === undefined) {
    throw new CrdbError('invalid_request', `${what} is missing`, { hint: `Give ${first.as}, or ${second.as}.` });
  }
  if (first.value !== undefined && second.value !== undefined && first.value !== second.value) {
    throw new CrdbError(
      'invalid_request',
      `${first.as} is "${first.value}", ${second.as} is "${second.value}": ${what} can be given once`,
    );
  }
  return (first.value ?? second.value)!;
}

/** A database as the commands take it: DATABASE, or --crdb-guid. */
export function chooseDatabase(argument: string | undefined, guid: string | undefined): string {
  return chooseSpelling('The database', { as: 'DATABASE', value: argument }, { as: '--crdb-guid', value: guid });
}
