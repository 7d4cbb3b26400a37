/**
 * What CONFIG GET shows and CONFIG SET takes: all settings of Redis 7.2.
 *
 * Some are facts about this instance, and belong to the database: crdb-cli changes them. The slow log's work. All others are kept and without effect
 * (redis-settings.ts). Nothing outlives the process.
 */
import { matchGlob } from '../base/glob.ts';
import type { SettingsPort } from '../redis-commands/session.ts';
import { BULK_BYTES_MAX, COMMAND_BYTES_MAX } from '../resp/limits.ts';
import type { Checked } from './knobs.ts';
import { KNOB_ALIASES, KNOBS } from './redis-settings.ts';
import type { SlowLog } from './slow-log.ts';

/** Facts: not to be changed here. */
export interface FixedSettings {
  readonly port: number;
  readonly bind: string;
  readonly dir: string;
  readonly appendonly: 'yes' | 'no';
  readonly appendfsync: 'always' | 'everysec' | 'no';
  readonly save: string;
  readonly maxclients: number;
}

const IMMUTABLE = "can't set immutable config: it belongs to the database; see crdb-cli";

export class Settings implements SettingsPort {
  readonly #fixed: FixedSettings;
  readonly #slowlog: SlowLog;
  readonly #memoryBytesMax: () => number;
  readonly #knobs = new Map(Object.entries(KNOBS).map(([name, { preset }]) => [name, preset]));

  /** `memoryBytesMax`: of the database as it is now. */
  constructor(fixed: FixedSettings, slowlog: SlowLog, memoryBytesMax: () => number) {
    this.#fixed = fixed;
    this.#memoryBytesMax = memoryBytesMax;
    this.#slowlog = slowlog;
  }

  matching(pattern: string): readonly (readonly [name: string, value: string])[] {
    const bytes = Buffer.from(pattern);
    return [...this.#all()].filter(([name]) => matchGlob(bytes, Buffer.from(name)));
  }

  /** All of them or none: names are looked at first, as Redis does, then values. */
  set(entries: readonly (readonly [name: string, value: string])[]): string | null {
    const values = new Map(this.#all());
    const seen = new Set<string>();
    for (const [name] of entries) {
      if (!values.has(name)) return `ERR Unknown option or number of arguments for CONFIG SET - '${name}'`;
      if (seen.has(name)) return failed(name, 'duplicate parameter');
      seen.add(name);
    }
    const accepted: (readonly [name: string, value: string])[] = [];
    for (const [name, value] of entries) {
      const checked = this.#check(name, value, values.get(name)!);
      if ('error' in checked) return failed(name, checked.error);
      accepted.push([name, checked.value]);
    }
    for (const [name, value] of accepted) this.#apply(name, value);
    return null;
  }

  #check(name: string, value: string, current: string): Checked {
    const knob = KNOBS[KNOB_ALIASES[name] ?? name];
    if (knob !== undefined) return knob.check(value, current);
    return value === current ? { value } : { error: IMMUTABLE };
  }

  #apply(name: string, value: string): void {
    if (name === 'slowlog-log-slower-than') this.#slowlog.thresholdMicros = Number(value);
    else if (name === 'slowlog-max-len') this.#slowlog.entriesMax = Number(value);
    const knob = KNOB_ALIASES[name] ?? name;
    if (this.#knobs.has(knob)) this.#knobs.set(knob, value);
  }

  *#all(): IterableIterator<readonly [name: string, value: string]> {
    for (const [name, value] of Object.entries(this.#fixed)) yield [name, String(value)];
    yield ['maxmemory', String(this.#memoryBytesMax())];
    yield ['maxmemory-policy', 'noeviction'];
    yield ['databases', '1'];
    // Asked for after AUTH, and by whoever has the port: not told.
    yield ['requirepass', ''];
    yield ['proto-max-bulk-len', String(BULK_BYTES_MAX)];
    yield ['client-query-buffer-limit', String(COMMAND_BYTES_MAX)];
    yield* this.#knobs;
    for (const [alias, name] of Object.entries(KNOB_ALIASES)) yield [alias, this.#knobs.get(name)!];
  }
}

const failed = (name: string, reason: string): string =>
  `ERR CONFIG SET failed (possibly related to argument '${name}') - ${reason}`;
