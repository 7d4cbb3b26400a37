/** `host:port`, an IPv6 address in brackets: where the host ends must not be a guess. */
export const hostPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;
