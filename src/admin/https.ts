/**
 * One HTTPS exchange as a promise, bounded in time and size. On Node's own client: whatever is loaded here, every command of the
 * command line waits for.
 */
import { request, type Agent } from 'node:https';

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
    const isOver = AbortSignal.timeout(withinMs);
    const call = request(url, { method, headers, agent, signal: isOver }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > answerBytesMax) fail(`the answer is larger than ${answerBytesMax} bytes`);
        else chunks.push(chunk);
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      response.once('error', explain);
    });
    const fail = (reason: string): void => {
      reject(new Error(reason)); // first: the end of what is cut off may still be announced
      call.destroy();
    };
    const explain = (error: Error): void =>
      reject(isOver.aborted ? new Error(`no answer within ${withinMs} ms`) : error);
    call.once('error', explain);
    let isConnected = false;
    call.once('socket', (socket) => {
      isConnected = call.reusedSocket;
      if (!isConnected) socket.once('secureConnect', () => (isConnected = true));
    });
    AbortSignal.timeout(connectMsMax).addEventListener('abort', () => {
      if (!isConnected) fail(`no connection within ${connectMsMax} ms`);
    });
    call.end(body ?? undefined);
  });
}
