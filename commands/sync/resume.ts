import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { changeSync, changeSyncText, type ChangeSyncDocument } from '../../src/cli/change-sync.ts';
import { chooseDatabase } from '../../src/cli/choose.ts';
import { databaseArgument, databaseGuidFlag, dryRunFlag, linkFlags } from '../../src/cli/flags.ts';

export default class SyncResume extends BaseCommand {
  static override summary = 'Go on pulling operations after a pause.';
  static override description =
    'Each instance takes up where it stopped; what was written meanwhile follows. A link that waits because the clock of the other side is too far ahead goes on with --accept-clock; until time has caught up with that clock, what it has written wins every conflict.';
  static override examples = [
    'crdb-cli sync resume orders',
    'crdb-cli sync resume orders --instance 2 --from 1',
    'crdb-cli sync resume orders --instance 2 --from 1 --accept-clock',
  ];
  static override args = { DATABASE: databaseArgument };
  static override flags = {
    'crdb-guid': databaseGuidFlag,
    ...linkFlags,
    'accept-clock': Flags.boolean({ description: 'Accept a clock of the other side that is too far ahead.' }),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<ChangeSyncDocument> {
    const { args, flags } = await this.parse(SyncResume);
    const { instance, from } = flags;
    const nameOrGuid = chooseDatabase(args.DATABASE, flags['crdb-guid']);
    const change = { nameOrGuid, action: 'resume', instance, from, dryRun: flags['dry-run'] } as const;
    const acceptClock = flags['accept-clock'];
    const changed = await changeSync({ ...change, acceptClock }, await this.controlPlane(), this.signal);
    this.show(changeSyncText(changed));
    return changed;
  }
}
