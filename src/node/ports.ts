/**
 * Ports that are promised and not used yet. A promise is a listening socket: no other node, database or program on this
 * machine can take the port in the meantime, and it is free again by itself when this process ends.
 */
import { createServer, type Server } from 'node:net';
import { codeOf, reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import { ENDPOINT_PORT_FIRST, ENDPOINT_PORT_LAST } from './limits.ts';
import { describePortHolder } from './port-holder.ts';

export interface PortReservation {
  readonly port: number;
  /** Frees the port; the caller binds it at once. */
  release(): Promise<void>;
}

/** Throws port_in_use naming the port. */
export async function reservePort(host: string, port: number): Promise<PortReservation> {
  const reservation = await tryReserve(host, port);
  if (reservation === null)
    throw new CrdbError('port_in_use', `Port ${port} on ${host} is in use by ${await describePortHolder(host, port)}`);
  return reservation;
}

/** The first free port of the endpoints' range that is not among `taken`. Throws port_in_use when there is none. */
export async function reserveFreePort(host: string, taken: ReadonlySet<number>): Promise<PortReservation> {
  for (let port = ENDPOINT_PORT_FIRST; port <= ENDPOINT_PORT_LAST; port++) {
    if (taken.has(port)) continue;
    const reservation = await tryReserve(host, port);
    if (reservation !== null) return reservation;
  }
  throw new CrdbError(
    'port_in_use',
    `No port from ${ENDPOINT_PORT_FIRST} to ${ENDPOINT_PORT_LAST} on ${host} is free`,
    {
      hint: 'Name another one with --port',
    },
  );
}

async function tryReserve(host: string, port: number): Promise<PortReservation | null> {
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, host, port);
  } catch (error) {
    if (isTaken(error)) return null;
    throw new CrdbError('failed', `Cannot listen on ${host}:${port}: ${reasonOf(error)}`, { cause: error });
  }
  server.unref();
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

/** EACCES: a port that only the system's administrator may bind; for our purpose as good as taken. */
export function isTaken(error: unknown): boolean {
  return codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES';
}
