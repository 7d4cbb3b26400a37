/**
 * What is said to this server and to redis-server for comparison, line by line (see conversation.ts): replies are the same, byte for byte. What
 * differs on purpose is in docs/reference/divergence.md, and not in here.
 */
export const SCRIPTS: Readonly<Record<string, string>> = {
  'a transaction': String.raw`
multi
set a 1
get a
foo
exec
exec
multi
watch a
set a 1
discard
watch a
multi
unwatch
watch b
exec
unwatch
multi
subscribe x
multi
exec
unsubscribe x
multi
client setname foo
select 0
ping
ping a b
exec
client getname
multi
get
exec extra
exec
discard extra
multi extra
multi
exec
multi
client
client foo
config get maxmemory-policy
config get a b
config set
config set a
config set a b c
exec
multi
auth
auth a b c
multi
wait 1 0
command count extra
exec
`,
  CLIENT: String.raw`
client
client id x
client getname x
client setname ""
client getname
client setname "a b"
client setname "a\nb"
client setname "ÿ"
client setname x y
client getname
client list type foo
client list type
client list id x
client list id
client list id 0
client list foo bar
client list id 999999
client list type master
client list type replica
client kill foo
client kill id x
client kill id 0
client kill id 99999
client kill type foo
client kill type pubsub
client kill user nobody
client kill addr 1.2.3.4:5
client kill laddr 1.2.3.4:5
client kill skipme foo
client kill skipme yes type master
client kill id
client kill id 1 foo
client kill foo bar
client kill type pubsub skipme no id 8888
client no-evict
client no-evict on
client no-evict OFF
client no-evict x
client reply
client reply x
client reply on
client tracking off
client tracking off x
client tracking
client caching yes
client caching no
client caching x
client getredir
client trackinginfo
client unblock 1 x
client unblock x
client unblock 99999
client unblock 99999 timeout
client unblock 99999 ERROR
client unpause
client unpause x
client pause x
client pause -1
client pause 0 foo
client pause
client pause 0
client pause 1 write
client unpause
client info x
`,
  CONFIG: String.raw`
config
config get
config get foo
config get maxmemory-policy
config get MAXMEMORY-POLICY
config get appendfsync
config get proto-max-bulk-len
config get timeout
config get hash-max-listpack-entries
config get set-max-intset-entries
config get notify-keyspace-events
config get list-max-ziplist-size
config get io-threads
config get cluster-enabled
config get slowlog-log-slower-than
config get slowlog-max-len
config get latency-monitor-threshold
config get tcp-keepalive
config get rename-command
config get "max*-policy"
config get [
config set foo bar
config set foo
config set hash-max-listpack-entries 512
config set hash-max-listpack-entries abc
config set hash-max-listpack-entries -5
config set hash-max-listpack-value 64 hash-max-listpack-value 64
config set slowlog-max-len 128 foo bar
config set slowlog-max-len abc
config set slowlog-log-slower-than abc
config set slowlog-max-len -1
config set timeout 0
config set timeout abc
config set timeout -1
config set notify-keyspace-events KEA
config get notify-keyspace-events
config set notify-keyspace-events xyz!
config set notify-keyspace-events ""
config set list-compress-depth 0
config set activerehashing maybe
config set activerehashing yes
config set lua-time-limit 5000
config set busy-reply-threshold 5000
config set hll-sparse-max-bytes 3000
config set latency-tracking no
config set latency-tracking YES
config get latency-tracking
config set latency-tracking no
config set stream-node-max-bytes 4096
config rewrite
config rewrite x
config resetstat
config resetstat x
config foo
`,
  COMMAND: String.raw`
command count x
command info foo
command info foo|bar
command info get|x
command list x
command list filterby
command list filterby foo bar
command list filterby module x
command list filterby aclcat foo
command list filterby aclcat transaction
command list filterby pattern xyz
command list filterby pattern "get*"
command list filterby pattern "config|*"
command list filterby pattern "GET*"
command list filterby pattern get x
command getkeys get
command getkeys get a
command getkeys get a b
command getkeys foo a
command getkeys ping x
command getkeys set a b ex 5
command getkeys mset a b c d
command getkeys mset a b c
command getkeys msetnx a 1 b 2
command getkeys sintercard 2 a b limit 1
command getkeys sintercard 3 a b
command getkeys sintercard x a b
command getkeys bitop and d a b
command getkeys object encoding k
command getkeys memory usage k
command getkeys lcs a b len
command getkeys copy a b
command getkeys spublish a b
command getkeys publish a b
command getkeys ssubscribe a b
command getkeys subscribe a b
command getkeys watch a b
command getkeys config get a
command getkeys config foo a
command docs foo
command docs foo bar
command foo
`,
  ACL: String.raw`
acl
acl whoami
acl whoami x
acl users
acl list
acl cat foo
acl cat read x
acl getuser nobody
acl foo
`,
  'a connection': String.raw`
auth
auth x
auth default x
auth nobody x
auth a b c
hello
hello x
hello 4
hello 1
hello 2 auth
hello 2 auth default
hello 2 setname
hello 2 setname "a b"
hello 2 foo
hello 2 auth nobody x
hello 2 auth default x setname me
client getname
reset
reset x
client getname
select
select a
select 0
select 99999999999
echo
echo a b
echo ""
ping ""
`,
  'what tools ask': String.raw`
config set slowlog-log-slower-than -1
slowlog reset
time x
role x
dbsize x
module
module list
module list x
module foo
latency
latency latest
latency latest x
latency history
latency history foo
latency history command
latency reset
latency reset foo
latency histogram foo
latency foo
latency help x
slowlog
slowlog len
slowlog len x
slowlog reset
slowlog get
slowlog get 0
slowlog get -2
slowlog get x
slowlog get 1 2
slowlog foo
config set slowlog-log-slower-than 10000
memory
memory usage
memory usage nokey
memory usage nokey samples
memory usage nokey samples 5
memory usage nokey samples -1
memory usage nokey samples x
memory usage nokey foo
memory foo
object
object foo
object encoding
object freq nokey
object refcount nokey
object idletime nokey
object encoding nokey
object encoding a b
object help x
copy a b db x
copy a a
copy nokey b
replicaof
slaveof
wait 0 0
wait 0 -1
wait x 0
wait 0 x
wait -1 0
`,
  'publish and subscribe': String.raw`
publish
publish a
publish a b
publish a b c
spublish a b
pubsub
pubsub channels x
pubsub numsub
pubsub numsub a b
pubsub numpat
pubsub numpat x
pubsub shardchannels
pubsub shardnumsub
pubsub shardnumsub a
pubsub foo
punsubscribe
punsubscribe a
sunsubscribe
sunsubscribe a
subscribe
psubscribe
ssubscribe
subscribe a b a
get x
ping
ping x
ping x y
psubscribe "p*" "q*"
ssubscribe sh
publish a hello
publish pa hi
spublish sh yo
punsubscribe "p*"
multi
subscribe z
psubscribe z
exec
sunsubscribe
punsubscribe
get x
reset
monitor x
`,
  'what is not known': String.raw`
foo
foo bar baz
"foo\nbar" x
"FOO bar" "x\r\ny"
get "a" "b"
xfoo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b
`,
  'WATCH across clients': String.raw`
set a 1
watch a b
b> set a 2
multi
get a
exec
watch a
b> get a
multi
get a
exec
watch nokey
b> del nokey
multi
ping
exec
watch nokey
b> set nokey 1
multi
ping
exec
watch a
b> expire a 1000
multi
ping
exec
watch a
b> persist a
multi
ping
exec
watch a
set a 3
multi
ping
exec
watch a
b> flushall
multi
ping
exec
watch a
b> flushall
multi
ping
exec
sadd s m
watch s
b> sadd s m
multi
ping
exec
watch s
b> srem s m
multi
ping
exec
hset h f v
watch h
b> hset h f v
multi
ping
exec
watch h
b> hdel h nofield
multi
ping
exec
set a x
watch a
b> setnx a y
multi
ping
exec
watch a
b> rename a b
multi
ping
exec
watch b
b> copy b a
multi
ping
exec
watch c
b> copy b c
multi
ping
exec
watch a
b> setrange a 0 ""
multi
ping
exec
watch a
unwatch
b> set a 1
multi
ping
exec
watch a
discard
multi
discard
b> set a 2
multi
ping
exec
`,
  'messages between clients': String.raw`
subscribe news
b> publish news hello
b> publish News hello
b> publish news ""
b> publish news "\xff\x00\r\n"
psubscribe "n*" "x?ws" "[mn]ow"
b> publish news twice
b> pubsub channels
b> pubsub channels "n*"
b> pubsub channels "x*"
b> pubsub numsub news other
b> pubsub numpat
punsubscribe "n*"
b> pubsub numpat
b> psubscribe "x?ws"
b> pubsub numpat
b> punsubscribe "x?ws"
b> publish news again
subscribe news
b> pubsub numsub news news
ssubscribe shard
b> spublish shard s
b> publish shard s
b> spublish news s
b> pubsub shardchannels
b> pubsub shardchannels "s*"
b> pubsub shardnumsub shard shard
sunsubscribe shard
sunsubscribe shard
punsubscribe nothing
unsubscribe nothing
b> multi
b> publish news queued
b> get a
b> publish news second
b> exec
b> subscribe news
b> ping
unsubscribe news
b> unsubscribe news
punsubscribe
get a
reset
subscribe a
reset
b> publish a x
get a
`,
  'a transaction that subscribes': String.raw`
multi
subscribe x
get a
exec
b> publish x hello
unsubscribe x
multi
psubscribe "p*"
ssubscribe s
exec
punsubscribe "p*"
sunsubscribe s
get a
multi
publish x y
exec
multi
watch a
exec
multi
reset
exec
`,
  'binary and empty arguments': String.raw`
set "" ""
get ""
set "\x00\xff\r\n" "\r\n\x00"
get "\x00\xff\r\n"
strlen "\x00\xff\r\n"
keys "?*"
exists "" "" nokey
hset "" "" ""
del ""
hset "" "" ""
hgetall ""
hget "" ""
sadd s ""
sismember s ""
rename "" "\xff"
hkeys "\xff"
type "\xff"
scan 0 match "\xff" count 1000
scan 0 count 1000 type string
"" x
" get" x
"get\x00" x
"\xff" x
config "\xff\x00y"
expire s 10 "\xff\x00y"
expire s 10 "\r\nx\r\n"
set k v "\xff"
client list type "\xff\x00y"
client kill type "\xff"
client kill user "\xff\x00y"
acl cat "\xff"
hello 2 "\xff\x00"
config set "\xffx" 1
`,
};
