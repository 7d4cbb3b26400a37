/**
 * Whatever went wrong, as the one kind of error that an operator sees.
 *
 * Three sources: a `CrdbError` is shown as it is; oclif's own complaints about the command line become invalid_request
 * (exit code 2) in this project's words; everything else is a bug (exit code 70) and keeps its stack. Text and JSON are
 * two renderings of the same `CrdbError`, so message and exit code can never differ between them.
 */
import { codeOf } from '../base/error-shape.ts';
import { CrdbError, ERROR_KINDS, HOME_HINT } from '../errors.ts';
import { nearestWord } from './suggest.ts';

/** What oclif adds to the message of an error thrown while it parses `--flag`. */
const PARSE_FRAME = /^Parsing --\S+ \n\t([\s\S]*)\nSee more help with --help$/;
const MISSING_VALUE = /^Flag (--\S+) expects (?:a value|one of these values: .*)$/;
const FLAG_COMPLAINT = /^(Flag --\S+ (expects|can only be)|Unexpected flag) /;
const SEE_HELP = /\n?See more help with --help\s*$/;

/** `help`: what shows how the command in question is used; it takes the place of a hint that names none. */
export function describeError(error: unknown, help = 'crdb-cli help'): CrdbError {
  if (error instanceof CrdbError) {
    error.message = error.message.replace(PARSE_FRAME, '$1');
    const namesNone = error.hint === ERROR_KINDS.invalid_request.hint;
    return namesNone ? new CrdbError(error.code, error.message, { hint: help, cause: error }) : error;
  }
  if (isPromptAbort(error)) return new CrdbError('interrupted', 'Interrupted. Nothing was changed.');
  if (isUsageError(error)) return usageError(error, help);
  if (isFileProblem(error)) return new CrdbError('failed', error.message, { hint: HOME_HINT, cause: error });
  if (error instanceof Error) return new CrdbError('bug', `Internal error: ${error.message}`, { cause: error });
  return new CrdbError('bug', `Internal error: ${String(error)}`);
}

/** `Error: ...`, the next command to type, and for a bug the stack that a report needs. */
export function errorText(error: CrdbError): string {
  const lines = [`Error: ${error.message}`];
  if (error.hint !== '') lines.push(`Try: ${error.hint}`);
  if (error.code === 'bug' && error.cause instanceof Error && error.cause.stack !== undefined)
    lines.push(error.cause.stack);
  return lines.join('\n');
}

export interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

export function errorDocument(error: CrdbError): ErrorDocument {
  return { error: { code: error.code, message: error.message, hint: error.hint } };
}

type UsageError = Error & { readonly parse?: { readonly input?: { readonly flags?: object } } };

/** Of the first of the unknown flags; null when none is near. */
function nearestFlag(typed: string, known: readonly string[]): string | null {
  return nearestWord(
    typed.split(/[\s,]/, 1)[0]!,
    known.map((flag) => `--${flag}`),
  );
}

/** By shape: what oclif's parser throws carries what was parsed, or is one of a few sentences. */
function isUsageError(error: unknown): error is UsageError {
  return error instanceof Error && ('parse' in error || FLAG_COMPLAINT.test(error.message));
}

function usageError(error: UsageError, hint: string): CrdbError {
  const message = error.message.replace(SEE_HELP, '').trim();
  const missingValue = MISSING_VALUE.exec(message);
  const wrongOption = /^Expected (--[^=]+)=([\s\S]*) to be one of: (.*)$/.exec(message);
  if (missingValue !== null) return refuse(`${missingValue[1]}: a value is missing`, hint);
  if (wrongOption !== null)
    return refuse(`${wrongOption[1]}: "${wrongOption[2]}" is not one of ${wrongOption[3]}`, hint);
  const unknown = /^Nonexistent flags?: (.*)$/.exec(message);
  if (unknown !== null) {
    const near = nearestFlag(unknown[1]!, Object.keys(error.parse?.input?.flags ?? {}));
    return refuse(`Unknown flag: ${unknown[1]}`, near === null ? hint : `${near}; all flags: ${hint}`);
  }
  return refuse(message, hint);
}

function refuse(message: string, hint: string): CrdbError {
  return new CrdbError('invalid_request', message, { hint });
}

const FILE_PROBLEMS = ['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENAMETOOLONG', 'EIO'];

/** The operator's disk, not our mistake. */
function isFileProblem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'path' in error && FILE_PROBLEMS.includes(codeOf(error) ?? '');
}

/** Ctrl-C in a question: inquirer reads the key itself, so no signal arrives. */
function isPromptAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'ExitPromptError';
}
