import { describe, expect, it } from '@jest/globals';
import { createRequest, type CreateRequest } from '../../src/admin/contract.ts';
import { planDatabase, recordOf, type DatabasePlan } from '../../src/node/plan-database.ts';

const OWN = { name: 'eu', credentials: { username: 'admin', password: 'own' }, certificate: 'PEM' };
const MADE = { guid: '1d7741cc-1110-4e2f-bc6c-935292783d24', replicationSecret: 'secret' };
const credentials = { username: 'admin', password: 'theirs' };

function plan(urls: readonly string[], more: { port?: number; instance?: object } = {}): DatabasePlan {
  const request: CreateRequest = createRequest.parse({
    name: 'orders',
    default_db_config: more.port === undefined ? {} : { port: more.port },
    instances: urls.map((url, index) => ({
      cluster: { name: ['eu', 'us', 'asia'][index]!, url, credentials },
      ...more.instance,
    })),
  });
  return planDatabase(request, OWN, MADE);
}

const portsOf = (made: DatabasePlan) => made.instances.map((instance) => instance.port);
const LOCAL = ['https://127.0.0.1:9443', 'https://localhost:9444', 'https://[::1]:9445'];

describe('planning a database', () => {
  it('numbers the instances in order and finds their hosts in the admin addresses', () => {
    const { instances } = plan(['https://10.0.0.1:9443', 'https://us.example.com:9443', 'https://[fd00::1]:9443']);
    expect(instances.map(({ id, host }) => [id, host])).toEqual([
      [1, '10.0.0.1'],
      [2, 'us.example.com'],
      [3, 'fd00::1'],
    ]);
  });

  it('leaves the port to the nodes when none is asked for', () => {
    expect(portsOf(plan(LOCAL))).toEqual([null, null, null]);
  });

  it('counts up from the asked port on one machine, by whatever name, and repeats it on others', () => {
    expect(portsOf(plan(LOCAL, { port: 12_000 }))).toEqual([12_000, 12_001, 12_002]);
    expect(portsOf(plan(['https://10.0.0.1:9443', 'https://10.0.0.2:9443'], { port: 12_000 }))).toEqual([
      12_000, 12_000,
    ]);
  });

  it('refuses a port from which there is no room for all', () => {
    expect(() => plan(LOCAL, { port: 65_534 })).toThrow('at most 65533 is allowed');
  });

  it("puts an instance's own settings over the defaults", () => {
    const made = plan(LOCAL.slice(0, 1), { instance: { db_config: { memory_size: 5, port: 13_000 }, id: 7 } });
    expect(made.instances[0]).toMatchObject({
      id: 7,
      port: 13_000,
      config: { memory_size: 5, data_persistence: 'aof' },
    });
  });

  it("gives the others what they need to reach this node, instead of the request's word for it", () => {
    const record = recordOf(plan(LOCAL), [12_000, 12_001, 12_002]);
    expect(record.instances[0]!.cluster).toEqual({ ...OWN, url: LOCAL[0] });
    expect(record.instances[1]!.cluster).toEqual({ name: 'us', url: LOCAL[1], credentials });
    expect(record.instances.map((one) => one.db_config.port)).toEqual([12_000, 12_001, 12_002]);
  });

  it('refuses an address that is no https address', () => {
    expect(() => plan(['http://127.0.0.1:9443'])).toThrow('is not an https:// address');
    expect(() => plan(['127.0.0.1'])).toThrow('is not an https:// address');
  });
});
