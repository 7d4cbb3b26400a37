import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { argument, dryRunFlag } from '../../src/cli/flags.ts';
import { chooseSpelling } from '../../src/cli/choose.ts';
import { stopNodes, stopText, type StopDocument } from '../../src/cli/stop-nodes.ts';

export default class NodeStop extends BaseCommand {
  static override summary = 'Stop a node with the instances it runs; all data stays.';
  static override description =
    'Takes as long as the instances need to write their last, and says how far they are. Ctrl-C ends the waiting, not the stop; --force ends the instances at once, which costs what is not on the disk yet.';
  static override examples = [
    'crdb-cli node stop local-1',
    'crdb-cli node stop --all',
    'crdb-cli node stop local-1 --force',
  ];
  static override args = { NAME: argument({ description: 'Name of the cluster.' }) };
  static override flags = {
    all: Flags.boolean({ description: 'Stop all local nodes of this home.' }),
    force: Flags.boolean({
      description:
        'Kill the instances instead of letting them write their last; also when a stop is under way already.',
    }),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<StopDocument> {
    const { args, flags } = await this.parse(NodeStop);
    chooseSpelling('The node', { as: 'NAME', value: args.NAME }, { as: '--all', value: flags.all ? 'all' : undefined });
    const name = flags.all ? undefined : args.NAME;
    const services = { control: await this.controlPlane(), steps: this.steps() };
    const stopped = await stopNodes({ name, dryRun: flags['dry-run'], force: flags.force }, services);
    this.show(stopText(stopped));
    return stopped;
  }
}
