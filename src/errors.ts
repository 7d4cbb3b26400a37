/**
 * Every error an operator can meet, once: its code, exit code, HTTP status and the next command to type.
 *
 * The text of an error names what failed with both values; the hint ends the search. Exit codes are a contract
 * (docs/reference/exit-codes.md): 0 done, 1 failed, 2 usage, 3 a check found problems, 4 a node cannot be reached,
 * 5 refused for safety, 70 bug, 130 interrupted.
 */

interface ErrorKind {
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 70 | 130;
  readonly httpStatus: number;
  readonly hint: string;
}

export const ERROR_KINDS = {
  invalid_request: { exitCode: 2, httpStatus: 400, hint: 'See the help of the command: crdb-cli help' },
  unauthorized: {
    exitCode: 1,
    httpStatus: 401,
    hint: 'The credentials do not fit this node. See: crdb-cli node status',
  },
  database_not_found: { exitCode: 1, httpStatus: 404, hint: 'See what exists: crdb-cli list' },
  instance_not_found: { exitCode: 1, httpStatus: 404, hint: 'See the instances: crdb-cli get DATABASE' },
  task_not_found: { exitCode: 1, httpStatus: 404, hint: 'Finished tasks are kept for 500 seconds.' },
  node_not_found: { exitCode: 1, httpStatus: 404, hint: 'See the nodes of this home: crdb-cli node status' },
  database_exists: {
    exitCode: 5,
    httpStatus: 409,
    hint: 'Choose another name, or remove it first: crdb-cli delete NAME',
  },
  port_in_use: { exitCode: 1, httpStatus: 409, hint: 'Leave --port away to have a free one chosen.' },
  port_not_permitted: { exitCode: 1, httpStatus: 403, hint: 'Choose a port from 1024 on, such as --port 12000.' },
  link_paused: { exitCode: 1, httpStatus: 409, hint: 'Go on pulling first: crdb-cli sync resume DATABASE' },
  node_unreachable: { exitCode: 4, httpStatus: 503, hint: 'See the nodes: crdb-cli node status' },
  node_already_running: { exitCode: 1, httpStatus: 409, hint: 'See: crdb-cli node status' },
  instance_failed: { exitCode: 1, httpStatus: 500, hint: "Read the instance's log; see: crdb-cli node status" },
  confirmation_required: { exitCode: 5, httpStatus: 400, hint: 'Add --yes to go ahead without a question.' },
  timed_out: { exitCode: 1, httpStatus: 504, hint: 'See how far it got: crdb-cli sync status DATABASE' },
  interrupted: { exitCode: 130, httpStatus: 500, hint: '' },
  failed: { exitCode: 1, httpStatus: 500, hint: '' },
  bug: { exitCode: 70, httpStatus: 500, hint: 'Please report this with the text above.' },
} as const satisfies Record<string, ErrorKind>;

/** Next step where the state folder itself is the trouble. */
export const HOME_HINT =
  'CRDB_HOME names the folder that is used; see that it is a folder of yours, with room on its disk.';

export type ErrorCode = keyof typeof ERROR_KINDS;

/** An expected failure, to be shown to an operator as it is. `hint` replaces the kind's own next step. */
export class CrdbError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CrdbError';
    this.code = code;
    this.hint = options.hint ?? ERROR_KINDS[code].hint;
  }

  get exitCode(): number {
    return ERROR_KINDS[this.code].exitCode;
  }

  get httpStatus(): number {
    return ERROR_KINDS[this.code].httpStatus;
  }
}
