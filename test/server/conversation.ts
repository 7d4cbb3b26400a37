/**
 * Two clients that say the same to a server one after the other, and what each of them gets to see, byte for byte: for comparing this server with
 * redis-server where replies depend on the connection (transactions, subscriptions, CLIENT ...).
 *
 * A line is what an operator would type; `b> ` in front makes the second client say it. After each line both clients say PING, so that pushed
 * messages and any number of replies belong to the line that caused them. Inside MULTI the PING is queued, on both servers alike.
 */
import net from 'node:net';
import { splitReplies } from '../redis-commands/raw-reply.ts';
import { encodeCommand } from '../redis-commands/redis-server.ts';

const DEADLINE_MS = 30_000;
const MARK = 'are you done?';
/** What PING replies: to a client, to a subscriber of RESP2. */
const ANSWERS = [`$${MARK.length}\r\n${MARK}\r\n`, `*2\r\n$4\r\npong\r\n$${MARK.length}\r\n${MARK}\r\n`];
const QUEUED = '+QUEUED\r\n';

/** Words of a line: apart by spaces, or in double quotes with \n, \r, \" and \xff. */
export function splitWords(line: string): Buffer[] {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)];
  return words.map(([, quoted, plain]) => Buffer.from(quoted === undefined ? plain! : unescape(quoted), 'latin1'));
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r' };

const unescape = (text: string): string =>
  text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, char: string) =>
    hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

class Speaker {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #isClosed = false;
  #isInMulti = false;
  #wake: () => void = () => {};

  static async connect(target: net.NetConnectOpts): Promise<Speaker> {
    const socket = net.connect({ ...target, noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Speaker(socket);
  }

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Says it, and returns everything that has come when the PING behind it is answered. */
  async say(words: readonly (string | Buffer)[]): Promise<string[]> {
    if (this.#isClosed) return ['(closed)'];
    const ping = encodeCommand(['PING', MARK]);
    this.#socket.write(words.length === 0 ? ping : Buffer.concat([encodeCommand(words), ping]));
    const word = words.length === 0 ? '' : String(words[0]).toLowerCase();
    const repliesInMulti = words.length === 0 ? 1 : 2;
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const replies = splitReplies(this.#received);
      const last = replies.at(-1) ?? '';
      const isWhole = replies.reduce((sum, reply) => sum + reply.length, 0) === this.#received.length;
      const isAnswered =
        isWhole && (ANSWERS.includes(last) || (this.#isInMulti && last === QUEUED && replies.length >= repliesInMulti));
      if (isAnswered || this.#isClosed) {
        this.#received = Buffer.alloc(0);
        if (word === 'multi') this.#isInMulti = last === QUEUED;
        else if (this.#isInMulti) this.#isInMulti = last === QUEUED;
        return this.#isClosed ? [...replies, '(closed)'] : replies.slice(0, -1);
      }
      if (word === 'multi' && isWhole && replies.length === 2 && last === QUEUED) this.#isInMulti = true;
      else await this.#more(deadline, words);
    }
  }

  async sayAtOnce(lines: readonly (readonly Buffer[])[]): Promise<string[]> {
    this.#socket.write(Buffer.concat([...lines.map(encodeCommand), encodeCommand(['PING', MARK])]));
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const replies = splitReplies(this.#received);
      if (replies.at(-1) === ANSWERS[0]) return replies;
      await this.#more(deadline, ['PING']);
    }
  }

  #more(deadline: number, words: readonly (string | Buffer)[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${words.map(String).join(' ')}: ${this.#received.toString('latin1')}`)),
        deadline - Date.now(),
      );
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Everything that comes back when the lines are said at once, to the PING behind them. For commands that hold replies back. */
export async function recite(target: net.NetConnectOpts, lines: readonly string[]): Promise<string> {
  const speaker = await Speaker.connect(target);
  try {
    return (await speaker.sayAtOnce(lines.map(splitWords))).join('');
  } finally {
    speaker.close();
  }
}

/** Without what no two servers have in common: ids of clients, the order of a table. */
function settle(reply: string): string {
  const named = reply.replace(/(\$2\r\nid\r\n):\d+/, '$1:(id)');
  const isListOfNames = /^\*\d+\r\n\$\d+\r\n[a-z|]+\r\n\$/.test(reply) && !reply.includes('subscribe\r\n');
  return isListOfNames
    ? named
        .split(/(?=\$)/)
        .sort()
        .join('')
    : named;
}

const MESSAGE = /[*>][34]\r\n\$\d\r\n[ps]?message\r\n(\$\d+\r\n[^\r]*\r\n){2,3}/g;

/** Redis 7.0 puts a client's message to itself before the reply to PUBLISH, even inside EXEC's array; 7.2 and this server put it behind. */
function messagesLast(reply: string): string {
  const messages = reply.match(MESSAGE) ?? [];
  return reply.replace(MESSAGE, '') + messages.join('');
}

/** What the two clients see, line by line: `a: ...` and `b: ...`. */
export async function converse(
  target: net.NetConnectOpts,
  protocol: 2 | 3,
  lines: readonly string[],
): Promise<string[]> {
  const a = await Speaker.connect(target);
  const b = await Speaker.connect(target);
  try {
    for (const speaker of [a, b]) await speaker.say(['HELLO', String(protocol)]);
    await a.say(['FLUSHALL']);
    const seen: string[] = [];
    for (const line of lines) {
      const isSecond = line.startsWith('b> ');
      const words = splitWords(isSecond ? line.slice(3) : line);
      const own = await (isSecond ? b : a).say(words);
      const others = await (isSecond ? a : b).say([]);
      const told = others.length === 0 ? '' : ` | the other: ${others.join('')}`;
      seen.push(`${line} -> ${messagesLast(own.map(settle).join(''))}${told}`);
    }
    return seen;
  } finally {
    a.close();
    b.close();
  }
}
