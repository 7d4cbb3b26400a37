/**
 * Thrown by a read of a whole container of which much waits to be settled (stages.ts): the command has changed nothing, and is to be run again once the sweep has
 * done that container, which it takes first. Only where `Keyspace.mayPutOff` says that the caller knows what to do then.
 */
export class PutOffError extends Error {
  constructor() {
    super('a container is not settled yet');
    this.name = 'PutOffError';
  }
}
