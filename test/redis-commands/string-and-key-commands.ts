import { BITFIELD_COMMANDS } from '../../src/redis-commands/bitfield.ts';
import { BITMAP_COMMANDS } from '../../src/redis-commands/bitmaps.ts';
import { COUNTER_COMMANDS } from '../../src/redis-commands/counters.ts';
import { EXPIRY_COMMANDS } from '../../src/redis-commands/expiry.ts';
import { GENERIC_COMMANDS } from '../../src/redis-commands/generic.ts';
import { LCS_COMMANDS } from '../../src/redis-commands/lcs.ts';
import { OBJECT_COMMANDS } from '../../src/redis-commands/object.ts';
import { RENAME_COMMANDS } from '../../src/redis-commands/rename.ts';
import { SCAN_COMMANDS } from '../../src/redis-commands/scan.ts';
import type { CommandSpec } from '../../src/redis-commands/spec.ts';
import { STRING_COMMANDS } from '../../src/redis-commands/strings.ts';

export const STRING_AND_KEY_COMMANDS: readonly CommandSpec[] = [
  ...STRING_COMMANDS,
  ...LCS_COMMANDS,
  ...COUNTER_COMMANDS,
  ...BITMAP_COMMANDS,
  ...BITFIELD_COMMANDS,
  ...GENERIC_COMMANDS,
  ...OBJECT_COMMANDS,
  ...RENAME_COMMANDS,
  ...EXPIRY_COMMANDS,
  ...SCAN_COMMANDS,
];
