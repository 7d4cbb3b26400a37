import { HASH_COUNTER_COMMANDS } from '../../src/redis-commands/hash-counters.ts';
import { HASH_EXPIRING_VALUE_COMMANDS } from '../../src/redis-commands/hash-expiring-values.ts';
import { HASH_EXPIRY_COMMANDS } from '../../src/redis-commands/hash-expiry.ts';
import { HASH_SCAN_COMMANDS } from '../../src/redis-commands/hash-scan.ts';
import { HASH_COMMANDS } from '../../src/redis-commands/hashes.ts';
import { SET_ALGEBRA_COMMANDS } from '../../src/redis-commands/set-algebra.ts';
import { SET_SCAN_COMMANDS } from '../../src/redis-commands/set-scan.ts';
import { SET_COMMANDS } from '../../src/redis-commands/sets.ts';
import type { CommandSpec } from '../../src/redis-commands/spec.ts';

export const HASH_AND_SET_COMMANDS: readonly CommandSpec[] = [
  ...HASH_COMMANDS,
  ...HASH_COUNTER_COMMANDS,
  ...HASH_EXPIRY_COMMANDS,
  ...HASH_EXPIRING_VALUE_COMMANDS,
  ...HASH_SCAN_COMMANDS,
  ...SET_COMMANDS,
  ...SET_SCAN_COMMANDS,
  ...SET_ALGEBRA_COMMANDS,
];
