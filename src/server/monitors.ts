/** MONITOR: clients that see every command that is executed. Arguments of commands that carry passwords are not shown. */
import { quote } from '../base/quote.ts';
import type { Session } from '../redis-commands/session.ts';
import type { TableEntry } from '../redis-commands/table.ts';
import type { Args } from '../resp/args.ts';

/** Commands that monitors never see: they carry secrets. */
const SECRET = new Set(['AUTH', 'HELLO', 'CRDT.CONFIGURE', 'CRDT.SYNC']);

export class Monitors {
  readonly #sessions = new Set<Session>();

  get count(): number {
    return this.#sessions.size;
  }

  add(session: Session): void {
    this.#sessions.add(session);
  }

  remove(session: Session): void {
    this.#sessions.delete(session);
  }

  /** A command is about to run. */
  note(session: Session, entry: TableEntry, args: Args, nowMicros: number): void {
    if (SECRET.has(entry.spec.name) || entry.spec.flags.includes('admin')) return;
    const words = Array.from({ length: args.count }, (_, i) => quote(args.latin1(i)));
    const at = `${Math.floor(nowMicros / 1e6)}.${String(nowMicros % 1e6).padStart(6, '0')}`;
    const line = `${at} [0 ${session.remote}] ${words.join(' ')}`;
    for (const monitor of this.#sessions) monitor.send((reply) => reply.simple(line));
  }
}
