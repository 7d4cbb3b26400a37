/**
 * One HTTPS exchange as a promise, bounded in time and size. On Node's own client: whatever is loaded here, every command of the
 * command line waits for.
 */
import { request, type Agent } from 'node:https';
import type { Socket } from 'node:net';

export interface HttpsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly agent: Agent;
  /** For a connection, TLS included; for the whole answer. */
  readonly connectMsMax: number;
  readonly withinMs: number;
  readonly answerBytesMax: number;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly text: string;
}

/** Rejects with the error of the system, of TLS, or one that names the bound that was reached. */
export function exchange(url: URL, options: HttpsRequest): Promise<HttpsAnswer> {
  const { method, headers, body, agent, connectMsMax, withinMs, answerBytesMax } = options;
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) fail(`the answer is larger than ${answerBytesMax} bytes`);
        else chunks.push(chunk);
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.once('error', reject);
    });
    const fail = (reason: string): void => {
      reject(new Error(reason)); // first: the end of what is cut off may still be announced
      call.destroy();
    };
    const giveUp = setTimeout(() => fail(`no answer within ${withinMs} ms`), withinMs);
    const tooSlow = setTimeout(() => fail(`no connection within ${connectMsMax} ms`), connectMsMax);
    call.once('socket', (socket: Socket) => {
      if (call.reusedSocket) clearTimeout(tooSlow);
      else socket.once('secureConnect', () => clearTimeout(tooSlow));
    });
    call.once('error', reject);
    call.once('close', () => {
      clearTimeout(giveUp);
      clearTimeout(tooSlow);
    });
    call.end(body ?? undefined);
  });
}
