import { describe, expect, it } from '@jest/globals';
import { explainListenFailure, isUnavailable, reservePort } from '../../src/node/ports.ts';

const failedWith = (code: string): Error => Object.assign(new Error(`listen ${code}`), { code });

describe('a port that cannot be had', () => {
  it('for want of a privilege is not called taken, and the flag that chooses another one is named', async () => {
    const port = { host: '127.0.0.1', port: 80, what: 'The admin port', flag: '--admin-port' };
    const error = await explainListenFailure(failedWith('EACCES'), port);
    expect(error).toMatchObject({
      code: 'port_not_permitted',
      exitCode: 1,
      hint: expect.stringContaining('--admin-port'),
    });
    expect(error.message).toMatch(/^The admin port 80 on 127.0.0.1 needs a privilege/);
    expect(isUnavailable(failedWith('EACCES'))).toBe(true);
  });

  it('on an address of another machine is told from one that is taken', async () => {
    // 192.0.2.0/24 is set aside for documentation (RFC 5737): no machine has it.
    const refused = reservePort('192.0.2.1', 12_000);
    await expect(refused).rejects.toMatchObject({ code: 'failed', hint: expect.stringContaining('--host') });
    await expect(refused).rejects.toThrow('192.0.2.1 is no address of this machine');
    expect(isUnavailable(failedWith('EADDRNOTAVAIL'))).toBe(false);
  });
});
