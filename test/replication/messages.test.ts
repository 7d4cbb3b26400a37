import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FRAME_HEADER_BYTES, readU32 } from '../../src/crdt/frame.ts';
import { OriginTable, VersionVector } from '../../src/crdt/version-vector.ts';
import * as messages from '../../src/replication/messages.ts';

const origins = new OriginTable();
const vector = new VersionVector();
vector.set(origins.indexOf(1, 1_764_000_000), 812);
vector.set(origins.indexOf(2, 1_764_000_001), 2 ** 40);
const entries = (given: VersionVector): [number, number][] => [...given.entries()].map(([index, seq]) => [index, seq]);
const payloadOf = (frame: Buffer): Buffer => {
  expect(readU32(frame, 0)).toBe(frame.length - 4);
  return frame.subarray(FRAME_HEADER_BYTES);
};

describe('link messages', () => {
  it('come back as they were sent', () => {
    const hello: messages.Hello = {
      protocol: 1,
      guid: 'g',
      instance: 2,
      generation: 1_764_000_001,
      vector,
      floor: vector,
      want: [0, 1],
      full: true,
      capabilities: ['string', 'zset'],
      compression: 0,
    };
    const decoded = messages.decodeHello(payloadOf(messages.encodeHello(hello, origins)), origins) as messages.Hello;
    expect({ ...decoded, vector: entries(decoded.vector), floor: entries(decoded.floor!) }).toEqual({
      ...hello,
      vector: entries(vector),
      floor: entries(vector),
    });
    const heartbeat = {
      vector,
      wallClockMs: 1_764_000_000_123,
      position: 2 ** 45,
      floor: new VersionVector(),
      generation: 7,
    };
    const beat = messages.decodeHeartbeat(
      payloadOf(messages.encodeHeartbeat(heartbeat, origins)),
      origins,
    ) as messages.Heartbeat;
    expect({ ...beat, vector: entries(beat.vector), floor: entries(beat.floor) }).toEqual({
      ...heartbeat,
      vector: entries(vector),
      floor: [],
    });
    const generations = new Map([
      [1, 1_764_000_000],
      [255, 0xffff_ffff],
    ]);
    const ack = messages.decodeAck(
      payloadOf(messages.encodeAck({ applied: vector, durable: new VersionVector(), generations }, origins)),
      origins,
    );
    expect(entries((ack as messages.Ack).applied)).toEqual(entries(vector));
    expect((ack as messages.Ack).generations).toEqual(generations);
    expect(
      messages.decodeWant(payloadOf(messages.encodeWant({ generation: 9, origins: [1] }, origins)), origins),
    ).toEqual({
      generation: 9,
      origins: [1],
    });
    const publish = messages.decodePublish(
      payloadOf(messages.encodePublish({ sharded: true, channel: Buffer.from('news'), message: Buffer.from('hi') })),
    ) as messages.Publish;
    expect([publish.sharded, String(publish.channel), String(publish.message)]).toEqual([true, 'news', 'hi']);
    expect(messages.decodeError(payloadOf(messages.encodeError({ code: 'X', message: 'y' })))).toEqual({
      code: 'X',
      message: 'y',
    });
    expect(messages.decodeContinue(payloadOf(messages.encodeContinue('why')))).toEqual({ reason: 'why' });
  });

  it('are refused with a sentence when they are something else', () => {
    expect(messages.decodeHello(Buffer.from('nonsense'), origins)).toBe('HELLO is not JSON');
    expect(messages.decodeHello(Buffer.from('[]'), origins)).toBe('HELLO is not a JSON object');
    expect(messages.decodeHello(Buffer.from('{"protocol":1,"guid":"g"}'), origins)).toBe(
      'HELLO without instance or generation',
    );
    expect(messages.decodeWant(Buffer.from('{"generation":1,"origins":["0:1"]}'), origins)).toBe(
      'WANT: not an origin: 0:1',
    );
    expect(messages.decodeAck(Buffer.from([5]), origins)).toBe('ACK is cut short');
    const many = Object.fromEntries(Array.from({ length: 33_000 }, (_, i) => [`1:${i}`, 1]));
    const flood = Buffer.from(JSON.stringify({ reason: '', bytes: 1, vector: many }));
    expect(messages.decodeFullResync(flood, origins)).toBe('FULLRESYNC: vector: too many origins');
    expect(origins.count).toBe(2);
  });

  it('never make a decoder throw', () => {
    const table = new OriginTable();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        messages.decodeHello(bytes, table);
        messages.decodeFullResync(bytes, table);
        messages.decodeAck(bytes, table);
        messages.decodeHeartbeat(bytes, table);
        messages.decodeWant(bytes, table);
        messages.decodePublish(bytes);
        messages.decodeError(bytes);
        messages.decodeContinue(bytes);
      }),
      { numRuns: 500 },
    );
  });
});
