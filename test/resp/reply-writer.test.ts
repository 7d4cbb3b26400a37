import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReplyDecoder, type Decoded } from '../../src/resp/decode.ts';
import { ReplyWriter } from '../../src/resp/reply-writer.ts';

const reply = new ReplyWriter();

function written(protocol: 2 | 3, write: (reply: ReplyWriter) => void): string {
  reply.truncate();
  reply.protocol = protocol;
  write(reply);
  return reply.peek().toString('latin1');
}

const both = (write: (reply: ReplyWriter) => void): readonly [string, string] => [written(2, write), written(3, write)];

describe('The reply writer', () => {
  it('writes each type in both protocols', () => {
    expect(both((r) => r.ok())).toEqual(['+OK\r\n', '+OK\r\n']);
    expect(both((r) => r.nil())).toEqual(['$-1\r\n', '_\r\n']);
    expect(both((r) => r.nilArray())).toEqual(['*-1\r\n', '_\r\n']);
    expect(both((r) => r.map(2))).toEqual(['*4\r\n', '%2\r\n']);
    expect(both((r) => r.set(3))).toEqual(['*3\r\n', '~3\r\n']);
    expect(both((r) => r.push(3))).toEqual(['*3\r\n', '>3\r\n']);
    expect(both((r) => r.boolean(true))).toEqual([':1\r\n', '#t\r\n']);
    expect(both((r) => r.double(0.1))).toEqual(['$3\r\n0.1\r\n', ',0.1\r\n']);
    expect(both((r) => r.double(-Infinity))).toEqual(['$4\r\n-inf\r\n', ',-inf\r\n']);
    expect(both((r) => r.verbatim('é'))).toEqual(['$2\r\n\xc3\xa9\r\n', '=6\r\ntxt:\xc3\xa9\r\n']);
    expect(both((r) => r.bigint(-9223372036854775808n))).toEqual([
      ':-9223372036854775808\r\n',
      ':-9223372036854775808\r\n',
    ]);
  });

  it('replaces line breaks in errors', () => {
    expect(written(2, (r) => r.error('ERR a\r\nb'))).toBe('-ERR a  b\r\n');
  });

  it('writes every safe integer as JavaScript prints it', () => {
    const values = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -12, max: 12 }));
    fc.assert(
      fc.property(values, (value) => {
        expect(written(2, (r) => r.integer(value))).toBe(`:${value}\r\n`);
      }),
      { numRuns: 2000 },
    );
    for (let power = 1; power < Number.MAX_SAFE_INTEGER; power *= 10) {
      for (const value of [power - 1, power, -power]) expect(written(2, (r) => r.integer(value))).toBe(`:${value}\r\n`);
    }
  });

  it('writes bulks of any length, growing as needed', () => {
    const reply = new ReplyWriter();
    const decoder = new ReplyDecoder();
    const lengths = [0, 1, 47, 48, 49, 1000, 300_000, 2_000_000];
    for (const length of lengths) reply.bulk(Buffer.alloc(length + 3, 'z'), 3, length);
    decoder.push(reply.peek());
    for (const length of lengths) {
      expect(Buffer.alloc(length, 'z').equals(decoder.next() as Buffer)).toBe(true);
    }
    reply.truncate();
    reply.ok();
    expect(reply.peek().toString()).toBe('+OK\r\n');
  });

  it('forgets what a failed command had written', () => {
    const reply = new ReplyWriter();
    reply.ok();
    const before = reply.length;
    reply.array(3);
    reply.text('half');
    reply.truncate(before);
    expect(reply.peek().toString()).toBe('+OK\r\n');
  });
});

describe('The reply decoder', () => {
  it('reads what the writer wrote, however it is cut', () => {
    const reply = new ReplyWriter();
    reply.protocol = 3;
    reply.map(2);
    reply.text('a');
    reply.array(3);
    reply.integer(-5);
    reply.nil();
    reply.double(1.5);
    reply.text('b');
    reply.set(1);
    reply.boolean(false);
    reply.simple('PONG');
    reply.error('ERR no');
    const bytes = reply.peek();
    for (let step = 1; step <= bytes.length; step++) {
      const decoder = new ReplyDecoder();
      const values: Decoded[] = [];
      for (let at = 0; at < bytes.length; at += step) {
        decoder.push(bytes.subarray(at, at + step));
        for (let value = decoder.next(); value !== undefined; value = decoder.next()) values.push(value);
      }
      expect(values).toHaveLength(3);
      expect(values[0]).toEqual(
        new Map<Decoded, Decoded>([
          ['a', [-5, null, 1.5]],
          ['b', [false]],
        ]),
      );
      expect(values.slice(1)).toEqual(['PONG', { text: 'ERR no' }]);
    }
  });

  it('refuses what is not RESP', () => {
    const decoder = new ReplyDecoder();
    decoder.push(Buffer.from('HTTP/1.1 400\r\n'));
    expect(() => decoder.next()).toThrow('a reply begins with "HTTP/1.1 400"');
  });
});
