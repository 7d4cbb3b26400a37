import { describe, expect, it } from '@jest/globals';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { parseInstance } from '../../src/cli/parse-instance.ts';
import { parseInteger } from '../../src/cli/parse-integer.ts';
import { parseSize, sizeText } from '../../src/cli/parse-size.ts';
import { nearestWord } from '../../src/cli/suggest.ts';

describe('sizes', () => {
  it.each([
    ['100mb', 104_857_600],
    ['1GB', 1_073_741_824],
    ['10g', 10_737_418_240],
    ['512', 512],
    ['0', 0],
  ])('reads %s', (text, bytes) => expect(parseSize('--memory-size', text)).toBe(bytes));

  it.each(['', 'much', '1.5GB', '-1', '10 parsecs'])('refuses "%s"', (text) => {
    expect(() => parseSize('--memory-size', text)).toThrow(`--memory-size: "${text}" is not a size`);
  });

  it('refuses what no machine has', () =>
    expect(() => parseSize('--memory-size', '9999999tb')).toThrow('is too large, at most'));

  it('writes the shortest exact form', () =>
    expect([0, 1024, 1_073_741_824, 1000].map(sizeText)).toEqual(['unlimited', '1KB', '1GB', '1000']));
});

describe('whole numbers', () => {
  it('names the value and the bound that it breaks', () => {
    const port = (text: string) => parseInteger('--port', text, { min: 1, max: 65535 });
    expect(port('12000')).toBe(12000);
    expect(() => port('70000')).toThrow('--port: 70000 is too large, at most 65535 is allowed');
    expect(() => port('0')).toThrow('--port: 0 is too small, at least 1 is needed');
    expect(() => port('12k')).toThrow('--port: "12k" is not a whole number, 1 to 65535 is allowed');
  });
});

describe('--instance', () => {
  it('reads the key=value list of Redis Enterprise', () => {
    expect(
      parseInstance(
        'fqdn=eu.example.com,url=https://10.0.0.1:9443,username=admin@x,password=a=b,c,certificate=/tmp/x.pem',
      ),
    ).toEqual({
      ...{ fqdn: 'eu.example.com', url: 'https://10.0.0.1:9443' },
      login: { username: 'admin@x', password: 'a=b,c' },
      certificate: '/tmp/x.pem',
    });
  });

  it('takes the credentials from a file instead', () => {
    expect(parseInstance('fqdn=eu,credentials=/x/admin.json').login).toEqual({ path: '/x/admin.json' });
  });

  it('takes the admin port and the name of the cluster where they are not written', () => {
    expect(parseInstance('fqdn=eu,username=a,password=b').url).toBe('https://eu:9443');
    expect(parseInstance('fqdn=eu,url=https://10.0.0.1/,username=a,password=b').url).toBe('https://10.0.0.1:9443');
    expect(parseInstance('fqdn=eu,url=https://10.0.0.1:443,username=a,password=b').url).toBe('https://10.0.0.1:443');
  });

  it.each([
    ['url=https://eu:9443,username=a,password=b', 'has no fqdn'],
    ['fqdn=eu,usrname=a,password=b', '"usrname" is not one of fqdn, url, username, password, credentials, certificate'],
    ['fqdn=eu,fqdn=us,username=a,password=b', 'fqdn is given twice'],
    ['fqdn=eu,url=http://eu:9443,username=a,password=b', 'url "http://eu:9443" is not an https:// address'],
    ['fqdn=eu,username=a,credentials=/x/admin.json', 'credentials= names the file that holds username and password'],
    ['fqdn=eu,credentials=', 'has no credentials'],
    ['nonsense', '"nonsense" is not one of'],
  ])('refuses %s', (text, message) => expect(() => parseInstance(text)).toThrow(message));

  it('never repeats the password', () => {
    expect(() => parseInstance('password=geheim,username=a')).toThrow('"password=***,username=a" has no fqdn');
  });
});

describe('words', () => {
  it('suggests the nearest command, or none', () => {
    const known = ['create', 'list', 'delete', 'sync status'];
    expect(nearestWord('crate', known)).toBe('create');
    expect(nearestWord('lits', known)).toBe('list');
    expect(nearestWord('sync staus', known)).toBe('sync status');
    expect(nearestWord('frobnicate', known)).toBeNull();
  });

  it('takes an argument or its flag, not two different ones', () => {
    expect(chooseDatabase('orders', undefined)).toBe('orders');
    expect(chooseDatabase(undefined, 'guid')).toBe('guid');
    expect(() => chooseDatabase(undefined, undefined)).toThrow('The database is missing');
    expect(() => chooseDatabase('orders', 'guid')).toThrow('DATABASE is "orders", --crdb-guid is "guid"');
  });
});
