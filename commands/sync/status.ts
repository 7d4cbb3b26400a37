import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag } from '../../src/cli/flags.ts';
import { syncStatus, syncStatusText, type SyncStatusDocument } from '../../src/cli/sync-status.ts';

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
    watch: Flags.boolean({ char: 'w', description: 'Show it anew every second, until Ctrl-C.' }),
  };

  async run(): Promise<SyncStatusDocument | undefined> {
    const { args, flags } = await this.parse(SyncStatus);
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const control = await this.controlPlane();
    const take = (): Promise<SyncStatusDocument> => syncStatus(control, nameOrGuid);
    const look = { style: this.style, columns: this.environment.columns };
    const render = (status: SyncStatusDocument): string =>
      this.jsonEnabled() ? JSON.stringify(status) : syncStatusText(status, look);
    if (flags.watch) {
      await this.showAgainAndAgain(async () => render(await take()));
      return undefined;
    }
    const status = await take();
    this.show(render(status));
    return status;
  }
}
