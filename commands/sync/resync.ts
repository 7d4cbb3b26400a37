import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag, dryRunFlag, linkFlags } from '../../src/cli/flags.ts';
import { resync, resyncText, type ResyncDocument } from '../../src/cli/resync.ts';

export default class SyncResync extends BaseCommand {
  static override summary = 'Sync links anew, now.';
  static override description =
    'Asks for what is missing; with --full for the whole data set, which is merged: nothing is flushed. Also starts a link again that an error has stopped. Asks on a terminal, and needs --yes everywhere else. Ctrl-C ends the waiting, not the sync.';
  static override examples = [
    'crdb-cli sync resync orders',
    'crdb-cli sync resync orders --instance 2 --from 1 --full',
    'crdb-cli sync resync orders --yes --no-wait --json',
  ];
  static override args = { DATABASE: databaseArgument };
  static override flags = {
    'crdb-guid': databaseGuidFlag,
    ...linkFlags,
    full: Flags.boolean({ description: 'Send and merge the whole data set.' }),
    yes: Flags.boolean({ char: 'y', description: 'Do not ask.' }),
    'no-wait': Flags.boolean({ description: 'Return as soon as it is ordered.' }),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<ResyncDocument> {
    const { args, flags } = await this.parse(SyncResync);
    const { instance, from, full, yes } = flags;
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const done = await resync(
      { nameOrGuid, instance, from, full, wait: !flags['no-wait'], dryRun: flags['dry-run'] },
      {
        ...{ control: await this.controlPlane(), steps: this.steps(), waiting: this.waiting, signal: this.signal },
        confirmation: this.confirmation(yes),
        show: (text) => this.note(text),
      },
    );
    this.show(resyncText(done));
    return done;
  }
}
