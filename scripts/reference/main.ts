/** `npm run docs`: writes the reference pages that follow from the command table. test/docs fails while they are out of date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALL_COMMANDS } from '../../src/redis-commands/table.ts';
import { commandsPage } from './commands-page.ts';
import { divergencePage } from './divergence-page.ts';

const folder = join(import.meta.dirname, '..', '..', 'docs', 'reference');
const divergence = join(folder, 'divergence.md');

writeFileSync(join(folder, 'commands.md'), commandsPage(ALL_COMMANDS));
writeFileSync(divergence, divergencePage(readFileSync(divergence, 'utf8'), ALL_COMMANDS));
