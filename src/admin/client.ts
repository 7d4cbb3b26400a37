/**
 * The admin API as an object: what the CLI and the coordinator of another node call.
 *
 * A node's certificate is self-signed, so trust comes from having it: when the caller knows the certificate, exactly that
 * one is accepted, whatever names it carries (a node is reached by address as well as by name). Without it the system's
 * authorities and the ordinary check of the name decide. Nothing is retried here: a caller knows whether it may.
 *
 * Every call fails with a CrdbError: what the node answered, or node_unreachable naming cluster and address.
 */
import { X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { z } from 'zod';
import { codeOf, reasonOf } from '../base/error-shape.ts';
import { CrdbError, ERROR_KINDS, type ErrorCode } from '../errors.ts';
import {
  acknowledgement,
  crdb,
  crdbTask,
  errorBody,
  nodeStatus,
  prepareReply,
  resyncReply,
  syncChange,
  syncStatus,
  type ClusterInfo,
  type CreateRequest,
  type Crdb,
  type CrdbTask,
  type DatabaseRecord,
  type NodeStatus,
  type PrepareReply,
  type PrepareRequest,
  type ResyncReply,
  type ResyncRequest,
  type SyncChange,
  type SyncRequest,
  type SyncStatus,
} from './contract.ts';
import { exchange, type HttpsAnswer, type HttpsRequest } from './https.ts';
import { API_ANSWER_BYTES_MAX, API_CALL_MS_MAX, API_CONNECT_MS_MAX, API_LOCAL_CHANGE_MS_MAX } from './limits.ts';

interface Call<S extends z.ZodType> {
  readonly method: HttpsRequest['method'];
  readonly path: string;
  readonly answer: S;
  readonly body?: unknown;
  readonly withinMs?: number;
}

export class AdminClient {
  readonly #cluster: ClusterInfo;
  readonly #agent: Agent;
  readonly #authorization: string | null;

  constructor(cluster: ClusterInfo) {
    const { certificate, credentials } = cluster;
    this.#cluster = cluster;
    this.#agent = new Agent({ keepAlive: true, ...(certificate === undefined ? {} : pinned(certificate, cluster)) });
    this.#authorization =
      credentials === undefined
        ? null
        : `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  }

  nodeStatus(): Promise<NodeStatus> {
    return this.#call({ method: 'GET', path: '/v1/node', answer: nodeStatus });
  }

  /** `force`: its instances are killed. */
  async shutdown({ force = false } = {}): Promise<void> {
    const body = force ? { body: { force } } : {}; // an older node takes no body
    await this.#call({ method: 'POST', path: '/v1/node/shutdown', answer: acknowledgement, ...body });
  }

  listDatabases(): Promise<readonly Crdb[]> {
    return this.#call({ method: 'GET', path: '/v1/crdbs', answer: z.array(crdb) });
  }

  getDatabase(guid: string): Promise<Crdb> {
    return this.#call({ method: 'GET', path: `/v1/crdbs/${encodeURIComponent(guid)}`, answer: crdb });
  }

  createDatabase(body: CreateRequest): Promise<CrdbTask> {
    return this.#call({ method: 'POST', path: '/v1/crdbs', body, answer: crdbTask });
  }

  deleteDatabase(guid: string): Promise<CrdbTask> {
    return this.#call({ method: 'DELETE', path: `/v1/crdbs/${encodeURIComponent(guid)}`, answer: crdbTask });
  }

  listTasks(): Promise<readonly CrdbTask[]> {
    return this.#call({ method: 'GET', path: '/v1/crdb_tasks', answer: z.array(crdbTask) });
  }

  task(id: string): Promise<CrdbTask> {
    return this.#call({ method: 'GET', path: `/v1/crdb_tasks/${encodeURIComponent(id)}`, answer: crdbTask });
  }

  syncStatus(guid: string): Promise<SyncStatus> {
    return this.#call({ method: 'GET', path: `/v1/crdbs/${encodeURIComponent(guid)}/sync`, answer: syncStatus });
  }

  changeSync(guid: string, body: SyncRequest): Promise<SyncChange> {
    return this.#call({ method: 'PUT', path: `/v1/crdbs/${encodeURIComponent(guid)}/sync`, body, answer: syncChange });
  }

  resync(guid: string, body: ResyncRequest): Promise<ResyncReply> {
    const path = `/v1/crdbs/${encodeURIComponent(guid)}/resync`;
    return this.#call({ method: 'POST', path, body, answer: resyncReply });
  }

  prepareLocal(guid: string, body: PrepareRequest): Promise<PrepareReply> {
    return this.#call({ method: 'POST', path: `/v1/local/crdbs/${guid}/prepare`, body, answer: prepareReply });
  }

  async commitLocal(record: DatabaseRecord): Promise<void> {
    const path = `/v1/local/crdbs/${record.guid}/commit`;
    await this.#call({ method: 'POST', path, body: record, answer: crdb, withinMs: API_LOCAL_CHANGE_MS_MAX });
  }

  async discardLocal(guid: string): Promise<void> {
    const path = `/v1/local/crdbs/${guid}`;
    await this.#call({ method: 'DELETE', path, answer: acknowledgement, withinMs: API_LOCAL_CHANGE_MS_MAX });
  }

  /** Ends the connections, and the calls that are under way. */
  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async #call<S extends z.ZodType>(call: Call<S>): Promise<z.infer<S>> {
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    let answer: HttpsAnswer;
    try {
      answer = await exchange(new URL(call.path, this.#cluster.url), {
        method: call.method,
        agent: this.#agent,
        headers: {
          accept: 'application/json',
          ...(this.#authorization === null ? {} : { authorization: this.#authorization }),
          ...(body === null
            ? {}
            : { 'content-type': 'application/json', 'content-length': `${Buffer.byteLength(body)}` }),
        },
        body,
        connectMsMax: API_CONNECT_MS_MAX,
        withinMs: call.withinMs ?? API_CALL_MS_MAX,
        answerBytesMax: API_ANSWER_BYTES_MAX,
      });
    } catch (error) {
      throw this.#unreachable(error);
    }
    const { status } = answer;
    const value = parseJson(answer.text);
    if (status >= 400) throw this.#refused(status, value);
    const parsed = call.answer.safeParse(value);
    if (!parsed.success) throw this.#notOurs(call.path, parsed.error.issues[0]?.message ?? 'no JSON');
    return parsed.data;
  }

  #refused(status: number, value: unknown): CrdbError {
    const parsed = errorBody.safeParse(value);
    if (!parsed.success) {
      return new CrdbError('failed', `${this.#name()} answered with HTTP status ${status} and no reason`);
    }
    const { error_code: code, description, hint } = parsed.data;
    if (code === 'unauthorized') return new CrdbError('unauthorized', `${this.#name()}: ${description}`);
    return new CrdbError(Object.hasOwn(ERROR_KINDS, code) ? (code as ErrorCode) : 'failed', description, { hint });
  }

  #unreachable(error: unknown): CrdbError {
    const { name, certificate } = this.#cluster;
    if (!isCertificateProblem(error)) {
      return new CrdbError('node_unreachable', `${this.#name()} cannot be reached: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    const file = `$CRDB_HOME/nodes/${name}/cert.pem`;
    if (certificate === undefined) {
      const text = `${this.#name()} presents a certificate that is not trusted here: ${reasonOf(error)}`;
      const hint = `copy ${file} from the node's machine, and add to its --instance: certificate=PATH`;
      return new CrdbError('node_unreachable', text, { hint, cause: error });
    }
    const text = `${this.#name()} presents another certificate than the one given for it: ${reasonOf(error)}`;
    const hint = `copy ${file} from the node's machine anew; if it has not changed there, something else answers at this address`;
    return new CrdbError('node_unreachable', text, { hint, cause: error });
  }

  #notOurs(path: string, problem: string): CrdbError {
    return new CrdbError('failed', `${this.#name()} answered ${path} in a way this version does not know: ${problem}`);
  }

  #name(): string {
    return `The node of ${this.#cluster.name} (${this.#cluster.url})`;
  }
}

const OTHER_CERTIFICATE = 'ERR_TLS_OTHER_CERTIFICATE';

/** What TLS calls a certificate that it does not accept. */
const CERTIFICATE_PROBLEMS = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|ERR_TLS_OTHER_CERTIFICATE)/;

const isCertificateProblem = (error: unknown): boolean => CERTIFICATE_PROBLEMS.test(codeOf(error) ?? '');

/** Accepts exactly this certificate. Throws invalid_request when it is none. */
function pinned(certificate: string, { name }: ClusterInfo) {
  let expected: Buffer;
  try {
    expected = new X509Certificate(certificate).raw;
  } catch (error) {
    throw new CrdbError('invalid_request', `The certificate given for ${name} is not a PEM certificate`, {
      cause: error,
    });
  }
  return {
    ca: certificate,
    checkServerIdentity: (_host: string, presented: { readonly raw: Buffer }): Error | undefined =>
      presented.raw.equals(expected)
        ? undefined
        : Object.assign(new Error('the keys differ'), { code: OTHER_CERTIFICATE }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
