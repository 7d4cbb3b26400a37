import { BaseCommand } from '../../src/cli/base-command.ts';
import { changeSync, changeSyncText, type ChangeSyncDocument } from '../../src/cli/change-sync.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag, dryRunFlag, linkFlags } from '../../src/cli/flags.ts';

export default class SyncResume extends BaseCommand {
  static override summary = 'Go on pulling operations after a pause.';
  static override description = 'Each instance takes up where it stopped; what was written meanwhile follows.';
  static override examples = ['crdb-cli sync resume orders', 'crdb-cli sync resume orders --instance 2 --from 1'];
  static override args = { DATABASE: databaseArgument };
  static override flags = { 'crdb-guid': databaseGuidFlag, ...linkFlags, 'dry-run': dryRunFlag };

  async run(): Promise<ChangeSyncDocument> {
    const { args, flags } = await this.parse(SyncResume);
    const { instance, from } = flags;
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const change = { nameOrGuid, action: 'resume', instance, from, dryRun: flags['dry-run'] } as const;
    const changed = await changeSync(change, await this.controlPlane(), this.signal);
    this.show(changeSyncText(changed));
    return changed;
  }
}
