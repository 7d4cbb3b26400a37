import { BaseCommand } from '../src/cli/base-command.ts';
import { chooseDatabase } from '../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag } from '../src/cli/flags.ts';
import { getDatabase, getNotes, getText, type GetDocument } from '../src/cli/get-database.ts';

export default class Get extends BaseCommand {
  static override summary = 'Show the configuration of a database.';
  static override aliases = ['crdb:get'];
  static override examples = [
    'crdb-cli get orders',
    'crdb-cli crdb get --crdb-guid d84f6fe4-5bb7-49d2-a188-8900e09c6f66',
  ];
  static override args = { DATABASE: databaseArgument };
  static override flags = { 'crdb-guid': databaseGuidFlag };

  async run(): Promise<GetDocument> {
    const { args, flags } = await this.parse(Get);
    const database = await getDatabase(await this.controlPlane(), chooseDatabase(args.DATABASE, flags['crdb-guid']));
    this.show(getText(database));
    for (const note of getNotes(database)) this.note(note);
    return database;
  }
}
