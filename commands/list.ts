import { BaseCommand } from '../src/cli/base-command.ts';
import { listDatabases, listNotes, listText, type ListDocument } from '../src/cli/list-databases.ts';

export default class List extends BaseCommand {
  static override summary = 'List databases, one line per instance.';
  static override aliases = ['crdb:list'];
  static override examples = ['crdb-cli list', 'crdb-cli list --json'];

  async run(): Promise<ListDocument> {
    await this.parse(List);
    const list = await listDatabases(await this.controlPlane());
    this.show(listText(list, this.style));
    for (const note of listNotes(list)) this.note(note);
    return list;
  }
}
