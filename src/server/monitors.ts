/**
 * MONITOR: clients that see every command once it was executed, those of a transaction included, its EXEC behind them. Of administrative commands
 * nothing is shown, of passwords the place where they stood.
 */
import { quote } from '../base/quote.ts';
import type { Session } from '../redis-commands/session.ts';
import type { TableEntry } from '../redis-commands/table.ts';
import type { Args } from '../resp/args.ts';

const REDACTED = '"(redacted)"';

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

  /** A command was executed. */
  note(session: Session, entry: TableEntry, args: Args, nowMicros: number): void {
    if (entry.spec.flags.includes('admin')) return;
    const words = Array.from({ length: args.count }, (_, i) =>
      isSecret(entry.spec.name, args, i) ? REDACTED : quote(args.latin1(i)),
    );
    const at = `${Math.floor(nowMicros / 1e6)}.${String(nowMicros % 1e6).padStart(6, '0')}`;
    const line = `${at} [0 ${session.remote}] ${words.join(' ')}`;
    for (const monitor of this.#sessions) {
      if (monitor.replyMode !== 'off') monitor.send((reply) => reply.simple(line));
    }
  }
}

/** All that AUTH is given; the two words behind HELLO's AUTH. */
function isSecret(command: string, args: Args, index: number): boolean {
  if (command === 'AUTH') return index > 0;
  if (command !== 'HELLO') return false;
  return (index > 2 && args.isWord(index - 1, 'AUTH')) || (index > 3 && args.isWord(index - 2, 'AUTH'));
}
