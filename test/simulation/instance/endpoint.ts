/** The endpoint of a simulated instance: as much RESP as a peer needs to authenticate and ask for the feed. */
import type { Connection } from '../../../src/host/host.ts';

export const SECRET = 'simulated secret';

/** Handles a new connection; `accept` takes it over at CRDT.SYNC. */
export function serveConnection(
  connection: Connection,
  accept: (connection: Connection, request: string, rest: Uint8Array) => void,
): void {
  let received = Buffer.alloc(0);
  connection.onData = (bytes) => {
    received = Buffer.concat([received, bytes]);
    for (let command = readCommand(received); command !== null; command = readCommand(received)) {
      received = Buffer.from(received.subarray(command.end));
      if (command.words[0] === 'CRDT.SYNC') {
        accept(connection, command.words[1]!, received);
        return;
      }
      const isRight = command.words.join(' ') === `AUTH __replication ${SECRET}`;
      connection.write(Buffer.from(isRight ? '+OK\r\n' : '-WRONGPASS wrong secret\r\n'));
    }
  };
}

/** A whole command at the start of the bytes; null: not there yet. */
function readCommand(bytes: Buffer): { readonly words: readonly string[]; readonly end: number } | null {
  let at = 0;
  const readLength = (): number | null => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return null;
    const length = Number(bytes.toString('latin1', at + 1, end));
    at = end + 2;
    return length;
  };
  const count = readLength();
  if (count === null) return null;
  const words: string[] = [];
  for (let i = 0; i < count; i++) {
    const length = readLength();
    if (length === null || bytes.length < at + length + 2) return null;
    words.push(bytes.toString('utf8', at, at + length));
    at += length + 2;
  }
  return { words, end: at };
}
