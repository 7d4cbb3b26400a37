import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Endpoint, type TestClient } from './endpoint.ts';

const REFUSAL = 'MISCONF no room';

let endpoint: Endpoint;
let client: TestClient;

beforeEach(async () => {
  endpoint = await Endpoint.start();
  client = await endpoint.connect();
});

afterEach(() => endpoint.stop());

describe('While there is no room for the log', () => {
  it('writes are refused, queued ones too, and reads go on; then all is as before', async () => {
    const refused = `-${REFUSAL}`;
    expect(await client.ask('set k v')).toBe('OK');
    endpoint.server.refuseWrites(REFUSAL);
    expect(await client.ask('set k w')).toEqual(refused);
    expect(await client.ask('del k')).toEqual(refused);
    expect(await client.ask('get k')).toBe('v');
    await client.ask('multi');
    await client.ask('get k');
    expect(await client.ask('exec')).toEqual(['v']);
    endpoint.server.refuseWrites(null);
    await client.ask('multi');
    await client.ask('set k x');
    endpoint.server.refuseWrites(REFUSAL);
    expect(await client.ask('exec')).toBe(`-EXECABORT Transaction discarded because of: ${REFUSAL}`);
    endpoint.server.refuseWrites(null);
    expect(await client.ask('get k')).toBe('v');
    expect(await client.ask('set k y')).toBe('OK');
  });
});
