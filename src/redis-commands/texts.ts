/** Error replies that several commands share, word for word as Redis prints them: client libraries match on them. */
export const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value';
export const SYNTAX_ERROR = 'ERR syntax error';
export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range';
export const NOT_A_FLOAT = 'ERR value is not a valid float';
export const WOULD_BE_INFINITE = 'ERR increment would produce NaN or Infinity';
export const NO_SUCH_KEY = 'ERR no such key';
export const STRING_TOO_LONG = 'ERR string exceeds maximum allowed size (proto-max-bulk-len)';
/** What SELECT, COPY, MOVE and SWAPDB say: there is nothing to choose from. */
export const ONE_DATABASE = 'an Active-Active database has database 0 only';

/** `command`: lower case. */
export const wrongArity = (command: string): string => `ERR wrong number of arguments for '${command}' command`;

export const invalidExpireTime = (command: string): string => `ERR invalid expire time in '${command}' command`;

/** Both texts repeat the subcommand as `Args.echo` gives it. */
export const unknownSubcommand = (subcommand: string, command: string): string =>
  `ERR unknown subcommand '${subcommand.slice(0, 128)}'. Try ${command} HELP.`;

/** A subcommand that is there, with more arguments than it takes. */
export const tooManyArguments = (subcommand: string, command: string): string =>
  `ERR unknown subcommand or wrong number of arguments for '${subcommand.slice(0, 128)}'. Try ${command} HELP.`;

export const OUT_OF_RANGE = 'ERR value is out of range';
