/**
 * Builds when there is no build or a source is newer; `prepare` runs it.
 *
 * npm runs `prepare` more often than one would think: `npx crdb-cli` in a checkout installs a link to the checkout into
 * npm's cache, and prepares it for that. A build takes long, and it starts by removing the one that nodes run from.
 */
import { execSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = changedMs(join(root, 'dist', 'src', 'cli', 'main.js'));
const sources = ['commands', 'src', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
if (!sources.every((name) => newestMs(join(root, name)) <= built)) {
  execSync('npm run build', { cwd: root, stdio: 'inherit' });
}

/** Folders count as well: removing a file changes only its folder. */
function newestMs(path) {
  const below = statSync(path).isDirectory() ? readdirSync(path).map((name) => newestMs(join(path, name))) : [];
  return Math.max(changedMs(path), ...below);
}

/** 0 when absent. */
function changedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
