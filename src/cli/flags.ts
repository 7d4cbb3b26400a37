/** The flags and arguments that several commands share, and the kinds of flag that oclif has no exact word for. */
import { Args, Flags } from '@oclif/core';
import { parseInteger, type IntegerRange } from './parse-integer.ts';
import { parseSize } from './parse-size.ts';

/** oclif would take a missing argument from standard input, and so eat the input of the loop that a script calls this in. */
export const argument = (options: { readonly description: string }) => Args.string({ ...options, ignoreStdin: true });

export const PORT_RANGE: IntegerRange = { min: 1, max: 65_535 };
export const INSTANCE_ID_RANGE: IntegerRange = { min: 1, max: 255 };

export const integerFlag = Flags.custom<number, IntegerRange>({
  parse: async (text, _context, { name, min, max }) => parseInteger(`--${name}`, text, { min, max }),
});

export const sizeFlag = Flags.custom<number>({
  parse: async (text, _context, { name }) => parseSize(`--${name}`, text),
});

export const dryRunFlag = Flags.boolean({ description: 'Show what would be done and change nothing.' });

/** A database by name or guid: as an argument, or spelled as Redis Enterprise does. */
export const databaseArgument = argument({ description: 'Name or guid of the database.' });
export const databaseGuidFlag = Flags.string({
  description: 'The database by guid, as Redis Enterprise spells it; instead of the argument.',
  helpValue: 'GUID',
});

/** Both ends of the links to steer; absent means all. */
export const linkFlags = {
  instance: integerFlag({
    ...INSTANCE_ID_RANGE,
    description: 'Only the instance with this id (the one that pulls).',
    helpValue: 'ID',
  }),
  from: integerFlag({
    ...INSTANCE_ID_RANGE,
    description: 'Only what is pulled from the instance with this id.',
    helpValue: 'ID',
  }),
};
