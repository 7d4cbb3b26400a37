import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Input } from '../../src/resp/input.ts';
import { HEADROOM_BYTES, READ_BYTES } from '../../src/resp/limits.ts';
import { COMMAND, RequestParser } from '../../src/resp/parser.ts';
import { encode, feed, parseAll, trustedInput, type Parsed } from './parse-all.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const parse = (text: string): Parsed => parseAll(bytes(text));
const errorOf = (text: string): string | null => parse(text).error;

const word = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)), maxLength: 40 });
const longWord = fc.integer({ min: 0, max: 3 * HEADROOM_BYTES }).map((length) => 'x'.repeat(length));
const command = fc.array(fc.oneof({ weight: 20, arbitrary: word }, longWord), { minLength: 1, maxLength: 12 });

describe('The request parser', () => {
  it('finds the same commands however the bytes are cut', () => {
    const commands = fc.array(command, { minLength: 1, maxLength: 12 });
    const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: READ_BYTES })), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(commands, cuts, (expected, pieces) => {
        const size = expected.flat().reduce((sum, text) => sum + text.length, 0);
        const usable = size > 100_000 ? pieces.map((n) => n + 1000) : pieces;
        const parsed = parseAll(bytes(expected.map(encode).join('')), usable);
        expect(parsed.error).toBeNull();
        expect(parsed.commands).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('keeps clients apart whose commands arrive in turns', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 2, maxLength: 6 }), fc.integer({ min: 1, max: 700 }), (all, step) => {
        const clients = all.map((words) => ({
          input: trustedInput(),
          bytes: bytes(encode(words) + encode(['PING'])),
          at: 0,
          parsed: { commands: [], error: null } as Parsed,
        }));
        const isOpen = (): boolean => clients.some((client) => client.at < client.bytes.length);
        const stepOf = (length: number): number => (length > 5000 ? 20_000 : step);
        while (isOpen()) {
          for (const client of clients) {
            const end = Math.min(client.bytes.length, client.at + stepOf(client.bytes.length));
            if (end > client.at) feed(client.input, client.bytes.subarray(client.at, end), client.parsed);
            client.at = end;
          }
        }
        expect(clients.map(({ parsed }) => parsed.commands)).toEqual(all.map((words) => [words, ['PING']]));
      }),
      { numRuns: 100 },
    );
  });

  it('never throws on garbage, and understands or refuses it whatever the cuts', () => {
    const alphabet = fc.constantFrom(
      ...'*$0123456789-\r\n\\"\' xPING'.split(''),
      '\r\n',
      '*1\r\n',
      '$4\r\nPING\r\n',
      '\0',
    );
    const garbage = fc.array(alphabet, { maxLength: 80 }).map((parts) => bytes(parts.join('')));
    fc.assert(
      fc.property(garbage, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 }), (text, cuts) => {
        const whole = parseAll(text);
        const cut = parseAll(text, cuts);
        expect(cut.error).toBe(whole.error);
        expect(cut.commands).toEqual(whole.commands);
        if (whole.error !== null) expect(whole.error).toMatch(/^ERR Protocol error: /);
      }),
      { numRuns: 2000 },
    );
  });

  it('says what is wrong in the words of Redis', () => {
    expect(errorOf('*x\r\n')).toBe('ERR Protocol error: invalid multibulk length');
    expect(errorOf('*01\r\n')).toBe('ERR Protocol error: invalid multibulk length');
    expect(errorOf('*2147483648\r\n')).toBe('ERR Protocol error: invalid multibulk length');
    expect(errorOf('*1\r\nPING\r\n')).toBe("ERR Protocol error: expected '$', got 'P'");
    expect(errorOf('*1\r\n$x\r\n')).toBe('ERR Protocol error: invalid bulk length');
    expect(errorOf('*1\r\n$-1\r\n')).toBe('ERR Protocol error: invalid bulk length');
    expect(errorOf('*1\r\n$536870913\r\n')).toBe('ERR Protocol error: invalid bulk length');
    expect(errorOf(`*${'1'.repeat(70_000)}`)).toBe('ERR Protocol error: too big mbulk count string');
    expect(errorOf(`*1\r\n$${'1'.repeat(70_000)}`)).toBe('ERR Protocol error: too big bulk count string');
    expect(errorOf('a'.repeat(70_000))).toBe('ERR Protocol error: too big inline request');
    expect(errorOf('set a "b\r\n')).toBe('ERR Protocol error: unbalanced quotes in request');
    expect(errorOf('set a "b"c\r\n')).toBe('ERR Protocol error: unbalanced quotes in request');
  });

  it('executes what came before the error', () => {
    expect(parse(`${encode(['GET', 'a'])}*x\r\n${encode(['GET', 'b'])}`).commands).toEqual([['GET', 'a']]);
  });

  it('skips empty commands', () => {
    expect(parse('*0\r\n*-1\r\n\r\n\n  \r\nPING\r\n*1\r\n$4\r\nPING\r\n').commands).toEqual([['PING'], ['PING']]);
  });

  it('reads inline commands with quotes as Redis does', () => {
    const { commands } = parse('set  key "a\\x41\\n\\"b" \'it\\\'s\' ""\r\nget key\n');
    expect(commands).toEqual([
      ['set', 'key', 'aA\n"b', "it's", ''],
      ['get', 'key'],
    ]);
  });

  it('lets a client that has not authenticated send little', () => {
    const untrusted = (text: string): string | null => parseAll(bytes(text), [READ_BYTES], new Input()).error;
    expect(untrusted('*11\r\n')).toBe('ERR Protocol error: unauthenticated multibulk length');
    expect(untrusted('*1\r\n$16385\r\n')).toBe('ERR Protocol error: unauthenticated bulk length');
    expect(untrusted(encode(['AUTH', 'user', 'x'.repeat(16_384)]))).toBeNull();
  });

  it('gives back a command that may not run now, and everything after it', () => {
    const parser = new RequestParser();
    const input = trustedInput();
    const text = bytes(encode(['SET', 'a', '1']) + encode(['SET', 'b', '2']) + encode(['SET', 'c', '3']).slice(0, 20));
    text.copy(parser.readArea);
    parser.begin(input, text.length);
    expect(parser.next()).toBe(COMMAND);
    expect(parser.next()).toBe(COMMAND);
    expect(parser.args.latin1(1)).toBe('b');
    parser.end(true);
    const parsed: Parsed = { commands: [], error: null };
    feed(input, bytes(encode(['SET', 'c', '3']).slice(20)), parsed, parser);
    expect(parsed.commands).toEqual([
      ['SET', 'b', '2'],
      ['SET', 'c', '3'],
    ]);
  });

  it('keeps what arrived, not what was announced, of a command that is not complete', () => {
    const input = trustedInput();
    feed(input, bytes('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nxxxx'), { commands: [], error: null });
    expect(input.bytes.length).toBeLessThanOrEqual(256);
    expect(input.length).toBeLessThan(64);
  });

  it('takes a large argument in time that grows with its size, and then lets go of the memory', () => {
    const input = trustedInput();
    const value = Buffer.alloc(64 * 1024 * 1024, 'v');
    const head = bytes(`*3\r\n$3\r\nSET\r\n$1\r\na\r\n$${value.length}\r\n`);
    const parsed: Parsed = { commands: [], error: null };
    const started = performance.now();
    feed(input, head, parsed);
    for (let at = 0; at < value.length; at += READ_BYTES) feed(input, value.subarray(at, at + READ_BYTES), parsed);
    feed(input, bytes('\r\n'), parsed);
    expect(performance.now() - started).toBeLessThan(5000);
    expect(parsed.commands[0]![2]!.length).toBe(value.length);
    expect(input.bytes.length).toBeLessThanOrEqual(1024);
  });

  it('takes a command of very many arguments without looking at any of them twice', () => {
    const words = Array.from({ length: 400_000 }, (_, i) => `k${i}`);
    const started = performance.now();
    const parsed = parseAll(bytes(encode(words)), [16 * 1024]);
    expect(performance.now() - started).toBeLessThan(5000);
    expect(parsed.commands[0]).toEqual(words);
  });
});
