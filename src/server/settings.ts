/**
 * What CONFIG GET shows and CONFIG SET takes: the settings that tools and client libraries look at.
 *
 * Most are facts about this instance; the tuning knobs of Redis's encodings are accepted and without effect. Nothing of it is stored.
 */
import { matchGlob } from '../base/glob.ts';
import type { SettingsPort } from '../redis-commands/session.ts';
import type { SlowLog } from './slow-log.ts';

/** Facts: not to be changed here. */
export interface FixedSettings {
  readonly port: number;
  readonly bind: string;
  readonly dir: string;
  readonly appendonly: 'yes' | 'no';
  readonly appendfsync: 'always' | 'everysec' | 'no';
  readonly save: string;
  readonly maxmemory: () => number;
  readonly maxclients: number;
}

/** Accepted, kept and shown; they tune encodings that this engine does not have. */
const INERT: Readonly<Record<string, string>> = {
  activerehashing: 'yes',
  'hash-max-listpack-entries': '128',
  'hash-max-listpack-value': '64',
  'hash-max-ziplist-entries': '128',
  'hash-max-ziplist-value': '64',
  'set-max-intset-entries': '512',
  'list-max-listpack-size': '-2',
  'list-compress-depth': '0',
  'zset-max-listpack-entries': '128',
  'zset-max-listpack-value': '64',
  'stream-node-max-bytes': '4096',
  'stream-node-max-entries': '100',
  'hll-sparse-max-bytes': '3000',
  'lua-time-limit': '5000',
  'busy-reply-threshold': '5000',
  'notify-keyspace-events': '',
  timeout: '0',
  'tcp-keepalive': '300',
  'latency-tracking': 'no',
};

export class Settings implements SettingsPort {
  readonly #fixed: FixedSettings;
  readonly #slowlog: SlowLog;
  readonly #inert = new Map(Object.entries(INERT));

  constructor(fixed: FixedSettings, slowlog: SlowLog) {
    this.#fixed = fixed;
    this.#slowlog = slowlog;
  }

  matching(pattern: string): readonly (readonly [name: string, value: string])[] {
    const bytes = Buffer.from(pattern);
    return [...this.#all()].filter(([name]) => matchGlob(bytes, Buffer.from(name)));
  }

  set(name: string, value: string): string | null {
    if (name === 'slowlog-log-slower-than' || name === 'slowlog-max-len') {
      if (!/^-?\d{1,15}$/.test(value)) return failed(name, value, "argument couldn't be parsed into an integer");
      if (name === 'slowlog-max-len') this.#slowlog.entriesMax = Math.max(0, Number(value));
      else this.#slowlog.thresholdMicros = Number(value);
      return null;
    }
    if (this.#inert.has(name)) {
      this.#inert.set(name, value);
      return null;
    }
    for (const [known, current] of this.#all()) {
      if (known === name && current === value) return null;
      if (known === name)
        return failed(name, value, `can't set immutable config: it belongs to the database; see crdb-cli`);
    }
    return `ERR Unknown option or number of arguments for CONFIG SET - '${name}'`;
  }

  *#all(): IterableIterator<readonly [name: string, value: string]> {
    const { maxmemory, ...fixed } = this.#fixed;
    for (const [name, value] of Object.entries(fixed)) yield [name, String(value)];
    yield ['maxmemory', String(maxmemory())];
    yield ['maxmemory-policy', 'noeviction'];
    yield ['databases', '1'];
    yield ['proto-max-bulk-len', String(512 * 1024 * 1024)];
    yield ['slowlog-log-slower-than', String(this.#slowlog.thresholdMicros)];
    yield ['slowlog-max-len', String(this.#slowlog.entriesMax)];
    yield* this.#inert;
  }
}

const failed = (name: string, value: string, reason: string): string =>
  `ERR CONFIG SET failed (possibly related to argument '${name}' = '${value.slice(0, 64)}') - ${reason}`;
