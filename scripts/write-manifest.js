/**
 * Writes oclif.manifest.json: what every command is called and takes. With it a command loads its own file alone, without it oclif
 * looks for all of them and loads each. Part of the build, so that it never describes another one.
 */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Config } from '@oclif/core';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { plugins } = await Config.load({ root });
const [plugin] = plugins.values();
writeFileSync(join(root, 'oclif.manifest.json'), JSON.stringify(plugin.manifest));
