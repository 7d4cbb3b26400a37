// oclif would try to transpile commands itself when NODE_ENV is "test"; Jest already has.
(globalThis as { oclif?: unknown }).oclif = { enableAutoTranspile: false };
