/** Which links of a database `--instance` and `--from` mean: from the instance that pulls to the one that is pulled from. */
import type { Crdb } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';

export interface LinkChoice {
  /** The instance that pulls; undefined: all. */
  readonly instance: number | undefined;
  /** The instance that is pulled from; undefined: all. */
  readonly from: number | undefined;
}

/** In order of the ids. Throws instance_not_found, or invalid_request for an instance that would pull from itself. */
export function chooseLinks(
  { instance, from }: LinkChoice,
  database: Crdb,
): readonly { readonly instance: number; readonly from: number }[] {
  const ids = database.instances.map(({ id }) => id).sort((a, b) => a - b);
  for (const id of [instance, from]) {
    if (id === undefined || ids.includes(id)) continue;
    throw new CrdbError('instance_not_found', `${database.name} has no instance ${id}, it has ${ids.join(', ')}`, {
      hint: `crdb-cli get ${database.name}`,
    });
  }
  if (instance !== undefined && instance === from) {
    throw new CrdbError(
      'invalid_request',
      `--from: ${from} is the instance itself, it pulls from ${ids.filter((id) => id !== from).join(', ')}`,
    );
  }
  const pullers = instance === undefined ? ids : [instance];
  const sources = from === undefined ? ids : [from];
  return pullers.flatMap((puller) =>
    sources.flatMap((source) => (source === puller ? [] : [{ instance: puller, from: source }])),
  );
}
