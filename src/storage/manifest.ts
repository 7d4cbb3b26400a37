/**
 * `manifest.json`: which snapshot counts, whose data this is, and what the last run promised. Replaced as a whole, durably.
 *
 * What a run promised decides whether a restarted instance may keep its generation (see recovery.ts): it is on disk before that run publishes
 * anything. A promise is written only together with the generation that it vouches for: `log.open` does so when the generation goes on,
 * `beginGeneration` when a new one begins. And the manifest knows which file it is: a copy that was put back, from a
 * backup, vouches for nothing.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { CrdbError } from '../errors.ts';
import type { Disk } from '../host/host.ts';
import { MANIFEST_NAME } from './file-names.ts';

export const MANIFEST_VERSION = 1;

export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  readonly guid: string;
  readonly instanceId: number;
  /** The instance's newest generation; 0: none yet. */
  readonly generation: number;
  readonly snapshot: { readonly file: string; readonly position: number; readonly bytes: number } | null;
  /** Every operation of this run goes to the log: a clean marker at the log's end is to be believed. */
  readonly logged: boolean;
  /** Every operation of this run is on disk before anyone else sees it. */
  readonly publishedAfterSync: boolean;
  /** During that run of the operating system (its boot id) the system has every operation of this run before anyone else sees it; empty: no such promise. */
  readonly publishedAfterWrite: string;
  /** Of the file that this was written to. */
  readonly identity: string;
}

/** What a run promises about publishing. */
export type PublishPromise = Pick<Manifest, 'publishedAfterSync' | 'publishedAfterWrite'>;

export const NO_PROMISE: PublishPromise = { publishedAfterSync: false, publishedAfterWrite: '' };

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isSnapshot = (value: unknown): boolean => {
  if (value === null) return true;
  const { file, position, bytes } = (value ?? {}) as Record<string, unknown>;
  return typeof file === 'string' && isCount(position) && isCount(bytes);
};

/** What each field must be. Written by hand: a schema library would cost every instance process 12 MB. */
const FIELDS: readonly (readonly [name: keyof Manifest, is: (value: unknown) => boolean, what: string])[] = [
  ['version', (value) => value === MANIFEST_VERSION, `${MANIFEST_VERSION}`],
  ['guid', (value) => typeof value === 'string', 'a string'],
  ['instanceId', (value) => isCount(value) && value <= 255, 'a number from 0 to 255'],
  ['generation', isCount, 'a whole number'],
  ['snapshot', isSnapshot, 'a snapshot or null'],
  ['logged', (value) => typeof value === 'boolean', 'true or false'],
  ['publishedAfterSync', (value) => typeof value === 'boolean', 'true or false'],
  ['publishedAfterWrite', (value) => typeof value === 'string', 'a string'],
  ['identity', (value) => typeof value === 'string', 'a string'],
];

/** The manifest with its fields in order, or what is wrong with it. */
function parseManifest(value: Record<string, unknown>): Manifest | string {
  for (const [name, is, what] of FIELDS) if (!is(value[name])) return `${name} is not ${what}`;
  const unknown = Object.keys(value).find((name) => !FIELDS.some(([known]) => known === name));
  if (unknown !== undefined) return `${unknown} is not known`;
  return Object.fromEntries(FIELDS.map(([name]) => [name, value[name]])) as unknown as Manifest;
}

const checksum = (manifest: Manifest): string => crc32(JSON.stringify(manifest)).toString(16).padStart(8, '0');

/** The manifest in the directory; null when there is none. Throws a CrdbError when it is damaged or of a newer release. */
export async function readManifest(disk: Disk, directory: string): Promise<Manifest | null> {
  const path = `${directory}/${MANIFEST_NAME}`;
  const bytes = await disk.readFile(path);
  if (bytes === null) return null;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    throw damaged(path, `it is not JSON: ${(error as Error).message}`);
  }
  const { checksum: written, ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  if (typeof rest['version'] === 'number' && rest['version'] > MANIFEST_VERSION) {
    throw new CrdbError(
      'instance_failed',
      `${path} has version ${rest['version']}, this release reads up to version ${MANIFEST_VERSION}: a newer release wrote it.`,
      { hint: 'Start this instance with the newer release.' },
    );
  }
  const manifest = parseManifest(rest);
  if (typeof manifest === 'string') throw damaged(path, manifest);
  if (written !== checksum(manifest)) {
    throw damaged(path, `its checksum is ${String(written)}, its content has ${checksum(manifest)}`);
  }
  return manifest;
}

const damaged = (path: string, reason: string): CrdbError =>
  new CrdbError('instance_failed', `${path} is damaged: ${reason}.`, {
    hint: 'Restore the data directory from a backup, or move it away: the instance then starts empty and is filled by a full sync.',
  });

/** The manifest of a running instance. Updates are written one after the other, in the order of the calls. */
export class ManifestStore {
  readonly #disk: Disk;
  readonly #directory: string;
  #current: Manifest;
  #writing: Promise<void> = Promise.resolve();
  /** What was found is a copy, of a backup say: there may have been later generations. */
  readonly isCopy: boolean;

  constructor(disk: Disk, directory: string, current: Manifest, isCopy = false) {
    this.#disk = disk;
    this.#directory = directory;
    this.#current = current;
    this.isCopy = isCopy;
  }

  get current(): Manifest {
    return this.#current;
  }

  /** A new generation: to be awaited before anything is published under it. */
  beginGeneration(generation: number, promise: PublishPromise): Promise<void> {
    return this.update({ generation, ...promise });
  }

  /** Resolves when the change is on disk. */
  update(changes: Partial<Omit<Manifest, 'version' | 'identity'>>): Promise<void> {
    const next = parseManifest({ ...this.#current, ...changes });
    assert(typeof next !== 'string', `a manifest is whole: ${String(next)}`);
    this.#current = next;
    const contentFor = (identity: string): Buffer => {
      const manifest = { ...next, identity };
      return Buffer.from(`${JSON.stringify({ ...manifest, checksum: checksum(manifest) }, null, 2)}\n`);
    };
    const write = (): Promise<void> => this.#disk.replaceFile(`${this.#directory}/${MANIFEST_NAME}`, contentFor);
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}
