import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createCertificate } from '../../src/node/certificate.ts';
import { listNodes } from '../../src/node/home.ts';

let certificate: string;
beforeAll(async () => {
  ({ certificate } = await createCertificate('eu'));
});

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'crdb-home-test-'));
  for (const cluster of ['eu', 'us']) {
    write(cluster, 'node.json', JSON.stringify(recordOf(cluster)));
    write(cluster, 'admin.json', JSON.stringify({ username: 'admin', password: 'open sesame' }));
    write(cluster, 'cert.pem', certificate);
  }
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const recordOf = (cluster: string) => ({
  ...{
    cluster,
    adminUrl: 'https://127.0.0.1:9443',
    adminPort: 9443,
    host: '127.0.0.1',
    version: '0.1.0',
    process: null,
  },
});

function write(cluster: string, name: string, text: string): void {
  mkdirSync(join(home, 'nodes', cluster), { recursive: true });
  writeFileSync(join(home, 'nodes', cluster, name), text);
}

describe('a home in which one node is damaged', () => {
  it.each([
    ['is empty', '', 'it is empty'],
    ['is cut off', JSON.stringify(recordOf('eu')).slice(0, 40), 'it is no JSON'],
    ['is something else', 'restored by hand', 'it is no JSON'],
    ['holds another value', '[]', 'expected object'],
    ['lacks a field', JSON.stringify({ ...recordOf('eu'), adminPort: undefined }), 'adminPort: '],
    ['has a version of another type', JSON.stringify({ ...recordOf('eu'), version: 2 }), 'version: '],
  ])('still has the others when its node.json %s', async (_what, text, problem) => {
    write('eu', 'node.json', text);
    const [eu, us] = await listNodes(home);
    expect(us).toMatchObject({ cluster: 'us', alive: false });
    expect(eu).toMatchObject({ cluster: 'eu', damage: { code: 'failed' } });
    const { message, hint } = (eu as { damage: { message: string; hint: string } }).damage;
    expect(message).toContain(`${join(home, 'nodes', 'eu', 'node.json')} is damaged: `);
    expect(message).toContain(problem);
    expect(hint).toContain('crdb-cli node start --name eu --admin-port PORT');
  });

  it('names a file that cannot be read at all', async () => {
    rmSync(join(home, 'nodes', 'eu', 'node.json'));
    mkdirSync(join(home, 'nodes', 'eu', 'node.json'));
    const [eu] = await listNodes(home);
    expect(eu).toMatchObject({ damage: { message: expect.stringContaining('node.json cannot be read: ') } });
  });

  it('never shows what a damaged file with secrets holds', async () => {
    write('eu', 'admin.json', 'password open sesame');
    const [eu] = await listNodes(home);
    expect(eu).toMatchObject({ damage: { message: expect.stringContaining('admin.json is damaged') } });
    expect(JSON.stringify(eu)).not.toContain('sesame');
  });

  it('takes no other folder for a node', async () => {
    mkdirSync(join(home, 'nodes', 'lost+found'));
    expect((await listNodes(home)).map(({ cluster }) => cluster)).toEqual(['eu', 'us']);
  });
});
