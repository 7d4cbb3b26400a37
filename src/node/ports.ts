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

/** Throws port_in_use or port_not_permitted naming the port; failed when the host is no address of this machine. */
export async function reservePort(host: string, port: number): Promise<PortReservation> {
  try {
    return await reserve(host, port);
  } catch (error) {
    throw await explainListenFailure(error, { host, port, what: 'Port', flag: '--port' });
  }
}

/** The first free port of the endpoints' range that is not among `taken`. Throws port_in_use when there is none. */
export async function reserveFreePort(host: string, taken: ReadonlySet<number>): Promise<PortReservation> {
  for (let port = ENDPOINT_PORT_FIRST; port <= ENDPOINT_PORT_LAST; port++) {
    if (taken.has(port)) continue;
    try {
      return await reserve(host, port);
    } catch (error) {
      if (!isUnavailable(error)) throw await explainListenFailure(error, { host, port, what: 'Port', flag: '--port' });
    }
  }
  throw new CrdbError(
    'port_in_use',
    `No port from ${ENDPOINT_PORT_FIRST} to ${ENDPOINT_PORT_LAST} on ${host} is free`,
    {
      hint: 'Name another one with --port',
    },
  );
}

async function reserve(host: string, port: number): Promise<PortReservation> {
  const server = createServer((socket) => socket.destroy());
  await listen(server, host, port);
  server.unref();
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

/** This port cannot be had, another one of the same host may be. */
export function isUnavailable(error: unknown): boolean {
  return codeOf(error) === 'EADDRINUSE' || codeOf(error) === 'EACCES';
}

/** Why nothing could listen there, and what to do about it. `what` begins the sentence; `flag` is what chooses the port. */
export async function explainListenFailure(
  error: unknown,
  {
    host,
    port,
    what,
    flag,
  }: { readonly host: string; readonly port: number; readonly what: string; readonly flag: string },
): Promise<CrdbError> {
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const holder = await describePortHolder(host, port);
      return new CrdbError('port_in_use', `${what} ${port} on ${host} is in use by ${holder}`, {
        hint: `Choose another one with ${flag}, or leave it away to have a free one chosen.`,
      });
    }
    case 'EACCES':
      return new CrdbError(
        'port_not_permitted',
        `${what} ${port} on ${host} needs a privilege that the user of the node does not have`,
        {
          hint: `Choose one from 1024 on with ${flag}, or leave it away; who may bind it is told in docs/operating/nodes.md`,
        },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new CrdbError('failed', `${host} is no address of this machine: nothing can listen on its port ${port}`, {
        hint: 'Start the node with an address that the machine has: crdb-cli node start --host ADDRESS',
      });
    default:
      return new CrdbError('failed', `Cannot listen on ${host}:${port}: ${reasonOf(error)}`, { cause: error });
  }
}
