import { BaseCommand } from '../../src/cli/base-command.ts';
import { changeSync, changeSyncText, type ChangeSyncDocument } from '../../src/cli/change-sync.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag, dryRunFlag, linkFlags } from '../../src/cli/flags.ts';

export default class SyncPause extends BaseCommand {
  static override summary = 'Stop pulling operations, until resumed.';
  static override description =
    'Writes are accepted everywhere meanwhile. It is the pulling instance that pauses: without --instance all do. A pause survives restarts.';
  static override examples = ['crdb-cli sync pause orders', 'crdb-cli sync pause orders --instance 2 --from 1'];
  static override args = { DATABASE: databaseArgument };
  static override flags = { 'crdb-guid': databaseGuidFlag, ...linkFlags, 'dry-run': dryRunFlag };

  async run(): Promise<ChangeSyncDocument> {
    const { args, flags } = await this.parse(SyncPause);
    const { instance, from } = flags;
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const change = { nameOrGuid, action: 'pause', instance, from, dryRun: flags['dry-run'] } as const;
    const changed = await changeSync(change, await this.controlPlane(), this.signal);
    this.show(changeSyncText(changed));
    return changed;
  }
}
