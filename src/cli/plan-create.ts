/**
 * From the flags of `create` to what will be done: which clusters take part, which of them this machine runs, and what
 * each is asked for. Everything that a human can mistype is refused here, before anything is touched.
 */
import { databaseConfig, databaseName, type CreateRequest, type DatabaseConfig } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ClusterInfo } from './control-plane.ts';
import { INSTANCES_MAX, INSTANCES_MIN } from './limits.ts';
import { INSTANCE_EXAMPLE, type InstanceSpec } from './parse-instance.ts';
import { readLogin, readText } from './read-secrets.ts';

export interface CreateFlags {
  readonly name: string;
  /** Number of local one-node clusters. */
  readonly local: number | undefined;
  readonly instances: readonly InstanceSpec[];
  readonly port: number | undefined;
  readonly memoryBytesMax: number | undefined;
  readonly dataPersistence: DatabaseConfig['data_persistence'] | undefined;
  readonly aofPolicy: DatabaseConfig['aof_policy'] | undefined;
  readonly password: string | undefined;
  readonly compression: number | undefined;
}

export interface CreatePlan {
  readonly name: string;
  readonly participants: readonly Participant[];
  readonly config: DatabaseConfig;
  readonly compression: number;
}

export type Participant = LocalParticipant | RemoteParticipant;
/** A one-node cluster on this machine, started when it does not run. `port` absent: chosen by its node. */
export interface LocalParticipant {
  readonly kind: 'local';
  readonly cluster: string;
  readonly port: number | undefined;
}
export interface RemoteParticipant {
  readonly kind: 'remote';
  readonly cluster: string;
  readonly info: ClusterInfo;
}

const PORT_MAX = 65_535;

const CHOOSE_ONE = [
  'crdb-cli create orders --local 2',
  `or crdb-cli create orders ${INSTANCE_EXAMPLE} --instance fqdn=us.example.com,...`,
].join('\n  ');

export async function planCreate(flags: CreateFlags): Promise<CreatePlan> {
  const { name, local, instances } = flags;
  if (!databaseName.safeParse(name).success) {
    throw refuse(
      `The name "${name}" is not possible: up to 63 letters, digits and hyphens; the first and the last a letter or a digit`,
    );
  }
  if (local !== undefined && instances.length > 0) {
    throw refuse(
      `--local ${local} and --instance exclude each other: the clusters are either made here or exist already`,
      CHOOSE_ONE,
    );
  }
  if (local === undefined && instances.length === 0) {
    throw refuse(
      'Where the database shall live is missing: --local N for clusters on this machine, or --instance for existing ones',
      CHOOSE_ONE,
    );
  }
  if (flags.aofPolicy !== undefined && (flags.dataPersistence ?? 'aof') !== 'aof') {
    throw refuse(`--aof-policy ${flags.aofPolicy} needs --data-persistence aof, but it is ${flags.dataPersistence}`);
  }
  const participants = local === undefined ? await remoteParticipants(instances) : localParticipants(local, flags.port);
  return { name, participants, config: configOf(flags, local === undefined), compression: flags.compression ?? 0 };
}

/** The request for the admin API, once every cluster's address and credentials are known. */
export function createRequestOf(plan: CreatePlan, clusters: readonly ClusterInfo[]): CreateRequest {
  return {
    name: plan.name,
    default_db_config: plan.config,
    instances: plan.participants.map((participant, index) => ({
      cluster: clusters[index]!,
      compression: plan.compression,
      db_config: participant.kind === 'local' && participant.port !== undefined ? { port: participant.port } : {},
    })),
  };
}

/** All on one machine, so every instance needs a port of its own: the given one and those after it. */
function localParticipants(count: number, port: number | undefined): LocalParticipant[] {
  const last = port === undefined ? 0 : port + count - 1;
  if (last > PORT_MAX) {
    throw refuse(
      `--port: ${port} is too large for ${count} local instances, which take ${port} to ${last}; at most ${PORT_MAX} is allowed`,
    );
  }
  return Array.from({ length: count }, (_, index) => ({
    kind: 'local' as const,
    cluster: `local-${index + 1}`,
    port: port === undefined ? undefined : port + index,
  }));
}

async function remoteParticipants(specs: readonly InstanceSpec[]): Promise<RemoteParticipant[]> {
  if (specs.length < INSTANCES_MIN || specs.length > INSTANCES_MAX) {
    throw refuse(
      `--instance: ${specs.length} given, ${INSTANCES_MIN} to ${INSTANCES_MAX} participating clusters are needed`,
    );
  }
  const twice = specs.find((spec, index) => specs.findIndex((other) => other.fqdn === spec.fqdn) !== index);
  if (twice !== undefined) throw refuse(`--instance: ${twice.fqdn} is given twice; a cluster takes part once`);
  return Promise.all(
    specs.map(async (spec) => ({
      kind: 'remote' as const,
      cluster: spec.fqdn,
      info: {
        name: spec.fqdn,
        url: spec.url,
        credentials: 'path' in spec.login ? await readLogin(spec.login.path) : spec.login,
        ...(spec.certificate === null ? {} : { certificate: await readCertificate(spec.certificate) }),
      },
    })),
  );
}

async function readCertificate(path: string): Promise<string> {
  const text = await readText('--instance: the certificate', path);
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw refuse(`--instance: ${path} holds no PEM certificate`);
  return text;
}

/** Defaults come from the contract; what the flags do not name is left to it. */
function configOf(flags: CreateFlags, samePortEverywhere: boolean): DatabaseConfig {
  return databaseConfig.parse({
    port: samePortEverywhere ? flags.port : undefined,
    memory_size: flags.memoryBytesMax,
    data_persistence: flags.dataPersistence,
    aof_policy: flags.aofPolicy,
    authentication_redis_pass: flags.password,
  });
}

function refuse(message: string, hint?: string): CrdbError {
  return new CrdbError('invalid_request', message, hint === undefined ? {} : { hint });
}
