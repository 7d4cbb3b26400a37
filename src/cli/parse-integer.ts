/** Whole numbers with bounds; a refusal names the flag, the value and the bound that it broke. */
import { CrdbError } from '../errors.ts';

export type IntegerRange = {
  readonly min: number;
  readonly max: number;
};

export function parseInteger(flag: string, text: string, { min, max }: IntegerRange): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new CrdbError('invalid_request', `${flag}: "${text}" is not a whole number, ${min} to ${max} is allowed`);
  }
  const value = Number(text);
  if (value > max) throw new CrdbError('invalid_request', `${flag}: ${text} is too large, at most ${max} is allowed`);
  if (value < min) throw new CrdbError('invalid_request', `${flag}: ${text} is too small, at least ${min} is needed`);
  return value;
}
