import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag } from '../../src/cli/flags.ts';
import { syncStatus, syncStatusText, type SyncStatusDocument } from '../../src/cli/sync-status.ts';
import { watchedText, watchSyncStatus, type WatchedDocument } from '../../src/cli/watch-sync.ts';

export default class SyncStatus extends BaseCommand {
  static override summary = 'Show what every instance pulls from every other.';
  static override description =
    'For each link its state, how far behind it is, the last sync with its reason, whether the log of the other side still holds all that is missing, and how far the two clocks are apart.';
  static override examples = [
    'crdb-cli sync status orders',
    'crdb-cli sync status orders --watch',
    'crdb-cli sync status orders --watch --json',
  ];
  static override args = { DATABASE: databaseArgument };
  static override flags = {
    'crdb-guid': databaseGuidFlag,
    watch: Flags.boolean({
      char: 'w',
      description: 'Show it anew every second, until Ctrl-C, also while no node answers.',
    }),
  };

  async run(): Promise<SyncStatusDocument | undefined> {
    const { args, flags } = await this.parse(SyncStatus);
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const control = await this.controlPlane();
    const look = { style: this.style, columns: this.environment.columns };
    if (flags.watch) {
      const take = watchSyncStatus(control, nameOrGuid, this.clock);
      const render = (seen: WatchedDocument): string =>
        this.jsonEnabled() ? JSON.stringify(seen) : watchedText(seen, look);
      await this.showAgainAndAgain(async () => render(await take()));
      return undefined;
    }
    const status = await syncStatus(control, nameOrGuid);
    this.show(syncStatusText(status, look));
    return status;
  }
}
