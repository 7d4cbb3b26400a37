/**
 * Who listens on a port, for the operator who has to end it: the kernel's table of sockets names an inode (/proc/net/tcp), and the
 * process that has it open is the holder (/proc/<pid>/fd). Best effort: where there is no /proc, or the process belongs to
 * another user, it is just another program.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { isIPv4 } from 'node:net';

/** "redis-server, process 4711", or "another program". */
export async function describePortHolder(host: string, port: number): Promise<string> {
  const inodes = new Set((await Promise.all(TABLES.map((table) => listeners(table, host, port)))).flat());
  const pid = inodes.size === 0 ? null : await findOwner(inodes);
  if (pid === null) return 'another program';
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name === '' ? `process ${pid}` : `${name.trim()}, process ${pid}`;
}

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const LISTENING = '0A';
const EVERYWHERE = /^0+$/;

/** Inodes of the sockets that are in the way of `host:port`. */
async function listeners(table: string, host: string, port: number): Promise<string[]> {
  const text = await readFile(table, 'latin1').catch(() => '');
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      // "sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ..."
      const fields = line.trim().split(/\s+/);
      const [address = '', portHex = ''] = (fields[1] ?? '').split(':');
      const isInTheWay = fields[3] === LISTENING && parseInt(portHex, 16) === port && overlaps(address, host);
      return isInTheWay ? [fields[9] ?? ''] : [];
    });
}

/** Addresses are compared for IPv4 only; any other spelling of a host may mean this one. */
function overlaps(address: string, host: string): boolean {
  if (!isIPv4(host) || host === '0.0.0.0' || address.length !== 8 || EVERYWHERE.test(address)) return true;
  const bytes = host.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return address.toLowerCase() === bytes.reverse().join(''); // the kernel prints the word as a little-endian machine reads it
}

async function findOwner(inodes: ReadonlySet<string>): Promise<string | null> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined && inodes.has(inode)) return pid;
    }
  }
  return null;
}
