/**
 * The admin API's HTTP side: authentication, validation at the edge, one handler per path, errors as the contract says.
 *
 * Every path asks for HTTP Basic credentials, unknown ones included: who may not call learns nothing. Both digests are
 * compared in constant time, so the time of an answer says nothing about the password either.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { reasonOf, toError } from '../base/error-shape.ts';
import { CrdbError, ERROR_KINDS, type ErrorCode } from '../errors.ts';
import {
  crdbGuid,
  createRequest,
  databaseRecord,
  prepareRequest,
  resyncRequest,
  shutdownRequest,
  syncRequest,
} from './contract.ts';
import { API_BODY_BYTES_MAX, API_HANDSHAKE_MS_MAX, API_REQUEST_MS_MAX } from './limits.ts';
import type { AdminService } from './service.ts';

export interface AdminServerOptions {
  readonly service: AdminService;
  readonly key: string;
  readonly certificate: string;
  readonly credentials: { readonly username: string; readonly password: string };
  /** Calls wait for it: the server listens before what is behind it is loaded. */
  readonly ready: Promise<void>;
  /** Told about every error that is our own: the operator only gets its text. */
  readonly onBug: (error: Error, path: string) => void;
}

/** The server, not yet listening. */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const server = Fastify({
    https: {
      key: options.key,
      cert: options.certificate,
      minVersion: 'TLSv1.2',
      handshakeTimeout: API_HANDSHAKE_MS_MAX,
    },
    bodyLimit: API_BODY_BYTES_MAX,
    requestTimeout: API_REQUEST_MS_MAX,
    forceCloseConnections: 'idle',
    logger: false,
  }) as unknown as FastifyInstance;
  server.addHook('onRequest', basicAuthentication(options.credentials));
  server.addHook('onRequest', () => options.ready);
  server.setErrorHandler((error, request, reply) =>
    answerError(toCrdbError(error, request, options.onBug), error, reply),
  );
  server.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      error_code: 'invalid_request',
      description: `There is no ${request.method} ${request.url} in this API`,
      hint: 'See docs/reference/admin-api.md',
    }),
  );
  addRoutes(server, options.service);
  return server;
}

function addRoutes(server: FastifyInstance, service: AdminService): void {
  server.get('/v1/node', async () => service.nodeStatus());
  server.post('/v1/node/shutdown', async (request) => {
    service.shutdown(
      request.body === undefined || request.body === null ? { force: false } : parseBody(shutdownRequest, request),
    );
    return { status: 'stopping' };
  });

  server.get('/v1/crdbs', async () => service.listDatabases());
  server.post('/v1/crdbs', async (request) => service.createDatabase(parseBody(createRequest, request)));
  server.get('/v1/crdbs/:guid', async (request) => service.getDatabase(guidOf(request)));
  server.delete('/v1/crdbs/:guid', async (request) => service.deleteDatabase(guidOf(request)));
  server.get('/v1/crdbs/:guid/sync', async (request) => service.syncStatus(guidOf(request)));
  server.put('/v1/crdbs/:guid/sync', async (request) =>
    service.changeSync(guidOf(request), parseBody(syncRequest, request)),
  );
  server.post('/v1/crdbs/:guid/resync', async (request) =>
    service.resync(guidOf(request), parseBody(resyncRequest, request)),
  );

  server.get('/v1/crdb_tasks', async () => service.listTasks());
  server.get('/v1/crdb_tasks/:id', async (request) => service.getTask((request.params as { id: string }).id));

  server.post('/v1/local/crdbs/:guid/prepare', async (request) =>
    service.prepareLocal(guidOf(request), parseBody(prepareRequest, request)),
  );
  server.post('/v1/local/crdbs/:guid/commit', async (request) => {
    const guid = guidOf(request);
    const record = parseBody(databaseRecord, request);
    if (record.guid !== guid) {
      throw new CrdbError('invalid_request', `The path names the database ${guid}, the body ${record.guid}`);
    }
    return service.commitLocal(record);
  });
  server.delete('/v1/local/crdbs/:guid', async (request) => {
    await service.discardLocal(guidOf(request));
    return { status: 'gone' };
  });
}

/** Also keeps paths of the file system safe: a guid becomes a directory's name. */
function guidOf(request: FastifyRequest): string {
  const { guid } = request.params as { guid: string };
  if (!crdbGuid.safeParse(guid).success)
    throw new CrdbError('database_not_found', `"${guid}" is not the guid of a database`);
  return guid;
}

function parseBody<S extends z.ZodType>(schema: S, request: FastifyRequest): z.infer<S> {
  const parsed = schema.safeParse(request.body ?? undefined);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  );
  throw new CrdbError('invalid_request', `${request.method} ${request.url}: ${problems.join('; ')}`);
}

function basicAuthentication(credentials: AdminServerOptions['credentials']) {
  const expected = digest(`${credentials.username}:${credentials.password}`);
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const [, encoded = ''] = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    if (timingSafeEqual(digest(Buffer.from(encoded, 'base64').toString('utf8')), expected)) return;
    void reply.header('www-authenticate', 'Basic realm="crdb-cli"');
    throw new CrdbError('unauthorized', 'The credentials are missing or wrong');
  };
}

/** Equal lengths, whatever the input: what `timingSafeEqual` needs. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function toCrdbError(error: unknown, request: FastifyRequest, onBug: AdminServerOptions['onBug']): CrdbError {
  if (error instanceof CrdbError) return error;
  const status = httpStatusOf(error);
  if (status >= 400 && status < 500) {
    return new CrdbError('invalid_request', `${request.method} ${request.url}: ${reasonOf(error)}`);
  }
  const bug = toError(error);
  onBug(bug, `${request.method} ${request.url}`);
  return new CrdbError('bug', `Internal error: ${bug.message}`, { cause: bug });
}

/** What Fastify itself refuses (broken JSON, a body too large, another media type) carries its status; 0 otherwise. */
function httpStatusOf(error: unknown): number {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 0;
  return typeof status === 'number' ? status : 0;
}

function answerError(error: CrdbError, cause: unknown, reply: FastifyReply): FastifyReply {
  const code: ErrorCode = error.code;
  const status = error === cause ? ERROR_KINDS[code].httpStatus : httpStatusOf(cause) || ERROR_KINDS[code].httpStatus;
  return reply.code(status).send({ error_code: code, description: error.message, hint: error.hint });
}
