import { Flags } from '@oclif/core';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { integerFlag, PORT_RANGE } from '../../src/cli/flags.ts';
import { startNode, startText, type StartDocument } from '../../src/cli/start-node.ts';

export default class NodeStart extends BaseCommand {
  static override summary = 'Start the node of a cluster: its admin API and the instances it has.';
  static override description =
    'Runs in this process until SIGINT or SIGTERM; with --detach as a daemon. The first start makes the data directory, the certificate and the credentials of the administrator.';
  static override examples = [
    'crdb-cli node start',
    'crdb-cli node start --detach',
    'crdb-cli node start --name eu.example.com --host 10.0.0.1 --admin-port 9443',
  ];
  static override flags = {
    name: Flags.string({ description: 'Name (FQDN) of the cluster.', default: 'local-1' }),
    'admin-port': integerFlag({
      ...PORT_RANGE,
      description: 'Port of the admin API; absent: the first free one from 9443.',
    }),
    host: Flags.string({ description: 'Address that the admin API and the endpoints listen on; absent: 127.0.0.1.' }),
    detach: Flags.boolean({ char: 'd', description: 'Run as a daemon and return when it answers.' }),
  };

  async run(): Promise<StartDocument | undefined> {
    const { flags } = await this.parse(NodeStart);
    const { name, host, 'admin-port': adminPort } = flags;
    const options = { ...(adminPort === undefined ? {} : { adminPort }), ...(host === undefined ? {} : { host }) };
    if (!flags.detach) {
      const { runNodeHere } = await import('../../src/cli/run-node-here.ts');
      this.releaseSignals();
      const { home } = this.environment;
      await runNodeHere({ home, name, options, version: this.config.version }, (started) =>
        this.announce(started, startText),
      );
      return undefined;
    }
    const started = await startNode({ name, options }, { control: await this.controlPlane(), steps: this.steps() });
    this.show(startText(started));
    return started;
  }
}
