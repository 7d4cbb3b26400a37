/**
 * The data directory of an instance, as it is found: whose it is, its manifest, and nothing that was left under construction.
 *
 * Invariant: a directory with data but without a manifest, or of another instance, is never used.
 */
import { CrdbError } from '../errors.ts';
import type { Disk } from '../host/host.ts';
import { isWorthless, MANIFEST_NAME, segmentPosition, snapshotPosition } from './file-names.ts';
import { ManifestStore, MANIFEST_VERSION, NO_PROMISE, readManifest } from './manifest.ts';

export interface DirectoryOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly guid: string;
  readonly instanceId: number;
}

/** The directory as it was found. */
export interface OpenedDirectory {
  readonly manifest: ManifestStore;
  readonly fresh: boolean;
  readonly names: readonly string[];
}

/** Where nothing is persisted the manifest is kept all the same: it alone knows which generations there have been. */
export async function openManifest(options: DirectoryOptions): Promise<ManifestStore> {
  return (await openDirectory(options)).manifest;
}

export async function openDirectory(options: DirectoryOptions): Promise<OpenedDirectory> {
  const { disk, directory, guid, instanceId } = options;
  await disk.makeDirectory(directory);
  const names = await removeUnfinished(disk, directory);
  const manifest = await readManifest(disk, directory);
  if (manifest === null) {
    return { manifest: await createManifest(options, names), fresh: true, names };
  }
  if (manifest.guid !== guid || manifest.instanceId !== instanceId) {
    throw new CrdbError(
      'instance_failed',
      `${directory} holds instance ${manifest.instanceId} of database ${manifest.guid}, not instance ${instanceId} of ${guid}.`,
      { hint: 'Give this instance its own data directory.' },
    );
  }
  const isCopy = (await disk.identify(`${directory}/${MANIFEST_NAME}`)) !== manifest.identity;
  return { manifest: new ManifestStore(disk, directory, manifest, isCopy), fresh: false, names };
}

async function removeUnfinished(disk: Disk, directory: string): Promise<readonly string[]> {
  const kept: string[] = [];
  for (const name of await disk.list(directory)) {
    if (isWorthless(name)) await disk.remove(`${directory}/${name}`);
    else kept.push(name);
  }
  return kept;
}

async function createManifest(options: DirectoryOptions, names: readonly string[]): Promise<ManifestStore> {
  const { disk, directory, guid, instanceId } = options;
  const data = names.find((name) => segmentPosition(name) !== null || snapshotPosition(name) !== null);
  if (data !== undefined) {
    throw new CrdbError('instance_failed', `${directory} has no manifest.json, but data: ${data}.`, {
      hint: 'Restore manifest.json from a backup, or move the directory away: the instance then starts empty and is filled by a full sync.',
    });
  }
  const manifest = new ManifestStore(disk, directory, {
    version: MANIFEST_VERSION,
    guid,
    instanceId,
    generation: 0,
    snapshot: null,
    logged: false,
    ...NO_PROMISE,
    identity: '',
  });
  await manifest.update({});
  return manifest;
}
