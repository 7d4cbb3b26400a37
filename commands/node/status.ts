import { BaseCommand } from '../../src/cli/base-command.ts';
import { argument } from '../../src/cli/flags.ts';
import { nodeStatus, nodeStatusText, type NodeStatusDocument } from '../../src/cli/node-status.ts';

export default class NodeStatus extends BaseCommand {
  static override summary = 'Show the nodes of this home and the instances they run.';
  static override examples = ['crdb-cli node status', 'crdb-cli node status local-1 --json'];
  static override args = { NAME: argument({ description: 'Name of the cluster; absent: all.' }) };

  async run(): Promise<NodeStatusDocument> {
    const { args } = await this.parse(NodeStatus);
    const status = await nodeStatus(await this.controlPlane(), args.NAME);
    this.show(nodeStatusText(status, this.style));
    return status;
  }
}
