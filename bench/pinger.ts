/**
 * A client that sends PING every millisecond, in a process of its own: what the benchmark does meanwhile cannot hold it up.
 *
 * Started by `watchStalls` with a port; says 'ready' when the first PING is answered, and on any message reports and begins anew. A wait is counted
 * from the moment at which the PING was due, so that a server that stands still for a second shows a second, not one slow reply among many.
 */
import { connect } from 'node:net';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';

const PERIOD_MS = 1;
const PING = Buffer.from('*1\r\n$4\r\nPING\r\n');

let waits: number[] = [];
process.on('message', () => {
  waits.sort((a, b) => a - b);
  process.send!({ longestMs: waits.at(-1) ?? 0, p999Ms: waits[Math.floor(waits.length * 0.999)] ?? 0 });
  waits = [];
});
process.on('disconnect', () => process.exit());

const socket = connect(Number(process.argv[2]), '127.0.0.1');
await once(socket, 'connect');
socket.setNoDelay(true);
for (let first = true; ; first = false) {
  await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  const due = performance.now();
  socket.write(PING);
  await once(socket, 'data');
  if (first) process.send!('ready');
  else waits.push(performance.now() - due);
}
