/**
 * `--instance fqdn=eu.example.com,url=https://10.0.0.1:9443,credentials=admin.json,certificate=cert.pem`: one participating
 * cluster, in the key=value spelling of Redis Enterprise, which has `username=` and `password=` for the credentials.
 *
 * A comma ends a value only where `word=` follows: `password=a,b` works, and so generated passwords need no quoting,
 * while a misspelled key is still found.
 */
import { CrdbError } from '../errors.ts';
import type { Login } from './read-secrets.ts';

const KEYS = ['fqdn', 'url', 'username', 'password', 'credentials', 'certificate'] as const;
type Key = (typeof KEYS)[number];

export interface InstanceSpec {
  readonly fqdn: string;
  readonly url: string;
  /** Given here, or the path of the node's admin.json. */
  readonly login: Login | { readonly path: string };
  /** Path of a PEM file: the certificate the node presents. */
  readonly certificate: string | null;
}

export const INSTANCE_EXAMPLE =
  '--instance fqdn=eu.example.com,url=https://10.0.0.1:9443,credentials=eu/admin.json,certificate=eu/cert.pem';

export function parseInstance(text: string): InstanceSpec {
  const values = splitPairs(text);
  const required = (key: Key): string => {
    const value = values.get(key);
    if (value === undefined || value === '') throw refuse(`--instance: "${withoutPassword(text)}" has no ${key}`);
    return value;
  };
  const fqdn = required('fqdn');
  return {
    fqdn,
    url: parseUrl(values.get('url') ?? `https://${fqdn}:9443`),
    login: login(values, required),
    certificate: values.get('certificate') ?? null,
  };
}

function login(values: ReadonlyMap<Key, string>, required: (key: Key) => string): InstanceSpec['login'] {
  if (!values.has('credentials')) return { username: required('username'), password: required('password') };
  if (values.has('username') || values.has('password'))
    throw refuse('--instance: credentials= names the file that holds username and password, so these are given twice');
  return { path: required('credentials') };
}

function splitPairs(text: string): Map<Key, string> {
  const values = new Map<Key, string>();
  for (const part of text.split(/,(?=[a-z_]+=)/)) {
    const at = part.indexOf('=');
    const key = at < 0 ? part : part.slice(0, at);
    if (at < 0 || !isKey(key)) throw refuse(`--instance: "${key}" is not one of ${KEYS.join(', ')}`);
    if (values.has(key)) throw refuse(`--instance: ${key} is given twice`);
    values.set(key, part.slice(at + 1));
  }
  return values;
}

/** Origin of the URL: `https://host:port`, the port 9443 where none is written. */
function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.protocol !== 'https:') throw refuse(`--instance: url "${text}" is not an https:// address`);
  if (url.username !== '' || url.password !== '')
    throw refuse('--instance: url holds credentials; write username= and password=');
  return `https://${url.hostname}:${url.port === '' ? portOf(text) : url.port}`;
}

/** URL drops 443 as the default port; an operator who wrote it meant it. */
function portOf(text: string): string {
  return /:443\/?$/.test(text) ? '443' : '9443';
}

function isKey(key: string): key is Key {
  return (KEYS as readonly string[]).includes(key);
}

function withoutPassword(text: string): string {
  return text.replace(/password=.*?(?=,[a-z_]+=|$)/, 'password=***');
}

function refuse(message: string): CrdbError {
  return new CrdbError('invalid_request', message, { hint: INSTANCE_EXAMPLE });
}
