import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { chooseDatabase } from '../src/cli/choose.ts';
import { deleteDatabase, deleteText, type DeleteDocument } from '../src/cli/delete-database.ts';
import { databaseArgument, databaseGuidFlag, dryRunFlag } from '../src/cli/flags.ts';

export default class Delete extends BaseCommand {
  static override summary = 'Delete a database with the data of all its instances.';
  static override description =
    'Cannot be undone. Asks on a terminal, and needs --yes everywhere else. The nodes go on running.';
  static override aliases = ['crdb:delete'];
  static override examples = [
    'crdb-cli delete orders',
    'crdb-cli delete orders --dry-run',
    'crdb-cli delete orders --yes --json',
  ];
  static override args = { DATABASE: databaseArgument };
  static override flags = {
    'crdb-guid': databaseGuidFlag,
    yes: Flags.boolean({ char: 'y', description: 'Do not ask.' }),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<DeleteDocument> {
    const { args, flags } = await this.parse(Delete);
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const deleted = await deleteDatabase(
      { nameOrGuid, dryRun: flags['dry-run'] },
      {
        control: await this.controlPlane(),
        steps: this.steps(),
        waiting: this.waiting,
        confirmation: this.confirmation(flags.yes),
        show: (text) => this.note(text),
      },
    );
    this.show(deleteText(deleted));
    return deleted;
  }
}
