import { describe, expect, it } from '@jest/globals';
import { Expirer } from '../../src/database/expirer.ts';
import { makeArgs } from '../../src/resp/args.ts';
import { START_MS } from '../database/cluster.ts';
import { HASH_AND_SET_COMMANDS } from './hash-and-set-commands.ts';
import { Client } from './harness.ts';

/** A client of a hash `h` with fields a, b, c. */
function open(): Client {
  const client = new Client(HASH_AND_SET_COMMANDS, { protocol: 2 });
  client.type('HSET h a 1 b 2 c 3');
  return client;
}

const integers = (...values: number[]): string => `*${values.length}\r\n${values.map((v) => `:${v}\r\n`).join('')}`;
const bulks = (...values: (string | null)[]): string =>
  `*${values.length}\r\n${values.map((v) => (v === null ? '$-1\r\n' : `$${v.length}\r\n${v}\r\n`)).join('')}`;
const error = (text: string): string => `-ERR ${text}\r\n`;

/** Runs the lines and compares each reply. */
function script(client: Client, lines: readonly (readonly [line: string, reply: string])[]): void {
  for (const [line, reply] of lines) expect(`${line}: ${client.type(line)}`).toBe(`${line}: ${reply}`);
}

const NOW_S = START_MS / 1000;
const FIELDS_MISSING = error('Mandatory argument FIELDS is missing or not at the right position');
const COUNT_MISMATCH = error('The `numfields` parameter must match the number of arguments');

describe('HEXPIRE and its kin', () => {
  it('answer each field: -2 not there, 1 done, 2 removed because the time is over', () => {
    script(open(), [
      ['HEXPIRE h 10 FIELDS 2 a x', integers(1, -2)],
      ['HTTL h FIELDS 3 a b x', integers(10, -1, -2)],
      ['HPEXPIRE h 1500 FIELDS 1 b', integers(1)],
      ['HPTTL h FIELDS 1 b', integers(1500)],
      ['HTTL h FIELDS 1 b', integers(2)],
      [`HEXPIREAT h ${NOW_S + 5} FIELDS 1 b`, integers(1)],
      ['HEXPIRETIME h FIELDS 2 b c', integers(NOW_S + 5, -1)],
      [`HPEXPIREAT h ${START_MS + 1} FIELDS 1 b`, integers(1)],
      ['HPEXPIRETIME h FIELDS 1 b', integers(START_MS + 1)],
      ['HEXPIRETIME h FIELDS 1 b', integers(NOW_S + 1)],
      ['HEXPIRE h 0 FIELDS 2 a b', integers(2, 2)],
      [`HEXPIREAT h ${NOW_S - 1} FIELDS 1 c`, integers(2)],
      ['HLEN h', ':0\r\n'],
      ['HEXPIRE h 10 FIELDS 2 a b', integers(-2, -2)],
      ['HTTL h FIELDS 1 a', integers(-2)],
      ['HPERSIST h FIELDS 1 a', integers(-2)],
    ]);
  });

  it('set a time only where NX, XX, GT or LT holds', () => {
    script(open(), [
      ['HEXPIRE h 10 XX FIELDS 1 a', integers(0)],
      ['HEXPIRE h 10 GT FIELDS 1 a', integers(0)],
      ['HEXPIRE h 10 LT FIELDS 1 a', integers(1)],
      ['HEXPIRE h 20 NX FIELDS 2 a b', integers(0, 1)],
      ['HEXPIRE h 15 GT FIELDS 2 a b', integers(1, 0)],
      ['HEXPIRE h 15 lt FIELDS 2 a b', integers(0, 1)],
      ['HEXPIRE h 99 xx FIELDS 3 a b c', integers(1, 1, 0)],
      ['HTTL h FIELDS 3 a b c', integers(99, 99, -1)],
      ['HEXPIRE h 0 NX FIELDS 1 a', integers(0)],
      ['HEXPIRE h 0 LT FIELDS 1 a', integers(2)],
    ]);
  });

  it('refuse what Redis refuses, in its words', () => {
    script(open(), [
      ['HEXPIRE h x FIELDS 1 a', error('value is not an integer or out of range')],
      ['HEXPIRE h -1 FIELDS 1 a', error('invalid expire time, must be >= 0')],
      ['HEXPIRE h 70368744178 FIELDS 1 a', error("invalid expire time in 'hexpire' command")],
      ['HPEXPIREAT h 70368744177664 FIELDS 1 a', error("invalid expire time in 'hpexpireat' command")],
      ['HPEXPIREAT h 70368744177663 FIELDS 1 a', integers(1)],
      ['HEXPIRE h 10 FIELD 1 a', FIELDS_MISSING],
      ['HEXPIRE h 10 NX XX FIELDS 1 a', FIELDS_MISSING],
      ['HEXPIRE h 10 FIELDS 0 a', error('Parameter `numFields` should be greater than 0')],
      ['HEXPIRE h 10 FIELDS x a', error('Parameter `numFields` should be greater than 0')],
      ['HEXPIRE h 10 FIELDS 2 a', COUNT_MISMATCH],
      ['HTTL h FIELDS 0 a', error('Number of fields must be a positive integer')],
      ['HTTL h FIELDS 1 a b', COUNT_MISMATCH],
      ['HPERSIST h FIELDS 3 a b', COUNT_MISMATCH],
      ['HTTL h FIELDS 1', error("wrong number of arguments for 'httl' command")],
      ['SADD s m', ':1\r\n'],
      ['HEXPIRE s x FIELDS 1 a', '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'],
      ['HTTL s FIELDS 1 a', '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'],
    ]);
  });

  it('lose to HPERSIST and HSET, and outlive HINCRBY', () => {
    script(open(), [
      ['HEXPIRE h 10 FIELDS 3 a b c', integers(1, 1, 1)],
      ['HPERSIST h FIELDS 2 a x', integers(1, -2)],
      ['HPERSIST h FIELDS 1 a', integers(-1)],
      ['HSET h b 9', ':0\r\n'],
      ['HINCRBY h c 1', ':4\r\n'],
      ['HTTL h FIELDS 3 a b c', integers(-1, -1, 10)],
    ]);
  });
});

describe('A field whose time is over', () => {
  it('is hidden from every read before anybody removes it', () => {
    const client = open();
    client.type('HPEXPIRE h 100 FIELDS 2 a b');
    client.database.setTime(START_MS + 100);
    script(client, [
      ['HGET h a', '$-1\r\n'],
      ['HMGET h a c', bulks(null, '3')],
      ['HGETALL h', bulks('c', '3')],
      ['HKEYS h', bulks('c')],
      ['HVALS h', bulks('3')],
      ['HLEN h', ':1\r\n'],
      ['HEXISTS h a', ':0\r\n'],
      ['HSTRLEN h a', ':0\r\n'],
      ['HTTL h FIELDS 2 a c', integers(-2, -1)],
      ['HRANDFIELD h 5', bulks('c')],
      ['HRANDFIELD h -3', bulks('c', 'c', 'c')],
      ['HSCAN h 0 NOVALUES', `*2\r\n$1\r\n0\r\n${bulks('c')}`],
      ['HDEL h a', ':0\r\n'],
      ['HGETDEL h FIELDS 1 b', bulks(null)],
    ]);
  });

  it('is new to the write that comes next, which does not inherit its time', () => {
    const client = open();
    client.type('HPEXPIRE h 100 FIELDS 3 a b c');
    client.database.setTime(START_MS + 200);
    script(client, [
      ['HSET h a 5', ':1\r\n'],
      ['HINCRBY h b 5', ':5\r\n'],
      ['HSETNX h c 5', ':1\r\n'],
      ['HTTL h FIELDS 3 a b c', integers(-1, -1, -1)],
      ['HLEN h', ':3\r\n'],
    ]);
  });

  it('is removed in time by the instance that set it, and with the last one the key goes', () => {
    const client = open();
    const { database } = client;
    client.type('HPEXPIRE h 100 FIELDS 2 a b');
    client.type('HPEXPIRE h 9000 FIELDS 1 c');
    const hash = (): number => database.keyspace.containers.hash(database.lookup(makeArgs(['h']), 0).record);
    database.setTime(START_MS + 150);
    const expirer = new Expirer(database);
    while (expirer.step(() => false) > 0);
    expect(client.type('HLEN h')).toBe(':1\r\n');
    expect(database.keyspace.containers.fieldCount(hash())).toBe(3);
    while (expirer.step((instance) => instance === 1) > 0);
    expect(database.keyspace.containers.fieldCount(hash())).toBe(1);
    expect(client.type('HGETALL h')).toBe(bulks('c', '3'));
    database.setTime(START_MS + 9000);
    while (expirer.step(() => true) > 0);
    expect(database.keyCount).toBe(0);
  });
});

describe('HGETDEL, HGETEX and HSETEX', () => {
  it('return values and remove or time their fields', () => {
    script(open(), [
      ['HGETDEL h FIELDS 2 a x', bulks('1', null)],
      ['HGETDEL none FIELDS 2 a x', bulks(null, null)],
      ['HGETEX h EX 10 FIELDS 2 b x', bulks('2', null)],
      ['HGETEX h FIELDS 1 b', bulks('2')],
      ['HTTL h FIELDS 1 b', integers(10)],
      ['HGETEX h PERSIST FIELDS 1 b', bulks('2')],
      ['HTTL h FIELDS 1 b', integers(-1)],
      ['HGETEX h PX 0 FIELDS 1 b', bulks('2')],
      [`HGETEX h PXAT ${START_MS + 7} FIELDS 1 c`, bulks('3')],
      ['HPTTL h FIELDS 2 b c', integers(-2, 7)],
      ['HGETDEL h FIELDS 1 c', bulks('3')],
      ['HLEN h', ':0\r\n'],
      ['HGETDEL h FIELDS 0 c', error('Number of fields must be a positive integer')],
      ['HGETDEL h FIELDS 3 c d', COUNT_MISMATCH],
      ['HGETDEL h FIELD 1 c', FIELDS_MISSING],
      ['HGETEX h EX x FIELDS 1 a', error('value is not an integer or out of range')],
      ['HGETEX h EX -1 FIELDS 1 a', error('invalid expire time, must be >= 0')],
      ['HGETEX h KEEPTTL FIELDS 1 a', FIELDS_MISSING],
    ]);
  });

  it('set fields under conditions, with a time of their own or the old one', () => {
    script(open(), [
      ['HSETEX h FNX FIELDS 2 a 9 x 9', ':0\r\n'],
      ['HSETEX h FXX FIELDS 2 a 9 x 9', ':0\r\n'],
      ['HGET h a', '$1\r\n1\r\n'],
      ['HSETEX h FXX EX 10 FIELDS 2 a 8 b 9', ':1\r\n'],
      ['HSETEX h PX 500 FNX FIELDS 1 x 7', ':1\r\n'],
      ['HMGET h a b x', bulks('8', '9', '7')],
      ['HPTTL h FIELDS 4 a b c x', integers(10000, 10000, -1, 500)],
      ['HSETEX h KEEPTTL FIELDS 1 a 5', ':1\r\n'],
      ['HSETEX h FIELDS 1 b 5', ':1\r\n'],
      ['HTTL h FIELDS 2 a b', integers(10, -1)],
      ['HSETEX h EXAT 1 FIELDS 2 a 1 n 1', ':1\r\n'],
      ['HMGET h a n', bulks(null, null)],
      ['HSETEX none FXX FIELDS 1 a 1', ':0\r\n'],
      [
        'HSETEX h EX 1 PX 1 FIELDS 1 a 1',
        error('Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified'),
      ],
      ['HSETEX h FNX FXX FIELDS 1 a 1', error('Only one of FXX or FNX arguments can be specified')],
      ['HSETEX h NX FIELDS 1 a 1', error('unknown argument: NX')],
      ['HSETEX h FIELDS x a 1', error('invalid number of fields')],
      ['HSETEX h FIELDS 2 a 1', error("wrong number of arguments for 'hsetex' command")],
      ['HSETEX h FNX KEEPTTL a 1', error('unknown argument: a')],
    ]);
  });
});
