/**
 * From a create request to a database: ids, addresses, secrets, and which port each instance asks for. Pure, apart from the
 * secrets that are passed in. Everything that can be refused without asking another node is refused here.
 */
import type { ClusterInfo, CreateRequest, DatabaseConfig, DatabaseRecord } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';

export interface PlannedInstance {
  readonly id: number;
  readonly cluster: ClusterInfo;
  readonly compression: number;
  readonly config: DatabaseConfig;
  /** Where the other instances reach it: the host of its cluster's admin address. */
  readonly host: string;
  /** null: its node chooses. */
  readonly port: number | null;
}

export interface DatabasePlan {
  readonly guid: string;
  readonly name: string;
  readonly defaultConfig: DatabaseConfig;
  readonly replicationSecret: string;
  readonly instances: readonly PlannedInstance[];
}

/** This node's own cluster as the others are to know it; its admin address comes from the request. */
export type OwnCluster = Required<Pick<ClusterInfo, 'name' | 'credentials' | 'certificate'>>;

const PORT_MAX = 65_535;

export function planDatabase(
  request: CreateRequest,
  own: OwnCluster,
  made: { readonly guid: string; readonly replicationSecret: string },
): DatabasePlan {
  refuseTwice(request.instances.map((instance) => instance.cluster.name));
  refuseTwice(request.instances.flatMap(({ id }) => (id === undefined ? [] : [`id ${id}`])));
  if (!request.instances.some((instance) => instance.cluster.name === own.name)) {
    throw new CrdbError(
      'invalid_request',
      `This is a node of ${own.name}, which is not among the participating clusters`,
    );
  }
  const ids = assignIds(request.instances.map((instance) => instance.id));
  const perHost = new Map<string, number>();
  const instances = request.instances.map(({ cluster, compression, db_config: override }, index): PlannedInstance => {
    const host = hostOf(cluster);
    const before = perHost.get(machineOf(host)) ?? 0;
    perHost.set(machineOf(host), before + 1);
    return {
      id: ids[index]!,
      cluster: completeCluster(cluster, own),
      compression,
      config: mergeConfig(request.default_db_config, override),
      host,
      port: override.port ?? shiftedPort(request.default_db_config.port, before),
    };
  });
  return { ...made, name: request.name, defaultConfig: request.default_db_config, instances };
}

/** The record once every instance's port is known, in the order of the plan. */
export function recordOf(plan: DatabasePlan, ports: readonly number[]): DatabaseRecord {
  return {
    guid: plan.guid,
    name: plan.name,
    default_db_config: plan.defaultConfig,
    replication_secret: plan.replicationSecret,
    instances: plan.instances.map(({ id, cluster, compression, config, host }, index) => ({
      id,
      cluster,
      compression,
      host,
      db_config: { ...config, port: ports[index]! },
    })),
  };
}

/** Given ids stay; the others take the smallest free ones in order. */
function assignIds(given: readonly (number | undefined)[]): number[] {
  const used = new Set(given);
  let next = 1;
  return given.map((id) => {
    if (id !== undefined) return id;
    while (used.has(next)) next++;
    return next++;
  });
}

/** Instances on one machine cannot share a port: the first takes the given one, the next the one after it. */
function shiftedPort(port: number | undefined, before: number): number | null {
  if (port === undefined) return null;
  if (port + before <= PORT_MAX) return port + before;
  throw new CrdbError(
    'invalid_request',
    `port: ${port} is too large for ${before + 1} instances on one machine, at most ${PORT_MAX - before} is allowed`,
  );
}

/** What the operator gave, and for this node's own cluster what the others need to reach it later. */
function completeCluster(cluster: ClusterInfo, own: OwnCluster): ClusterInfo {
  if (cluster.name === own.name) return { ...own, url: cluster.url };
  if (cluster.credentials !== undefined) return cluster;
  throw new CrdbError('invalid_request', `The credentials for ${cluster.name} are missing`);
}

function hostOf({ name, url }: ClusterInfo): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol !== 'https:') {
    throw new CrdbError('invalid_request', `The address of ${name}, "${url}", is not an https:// address`);
  }
  return parsed.hostname.replace(/^\[|\]$/g, '');
}

/** Loopback has several spellings and is one machine. */
function machineOf(host: string): string {
  return /^(localhost|127\..*|::1)$/.test(host) ? 'localhost' : host;
}

/** Only what is given counts: an absent field of the override is not a wish for the default. */
function mergeConfig(
  defaults: DatabaseConfig,
  override: CreateRequest['instances'][number]['db_config'],
): DatabaseConfig {
  const given = Object.entries(override).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

function refuseTwice(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new CrdbError('invalid_request', `${twice} is given twice`);
}
