//! What a person gets wrong, and the exact sentence that answers it: two lines each, the second indented.
//! ` | ` in the first stands for a new line.

use super::faults_of;

/// A line of a program that is otherwise right; the answer begins with its column.
const IN_A_PROGRAM: &str = r#"
stop_timeout = "10"
    16: program.web.stop_timeout: a duration needs a unit: "10s" for seconds, or ms, m, h, d, w
stop_timeout = 10
    16: program.web.stop_timeout: a duration needs a unit: "10s" for seconds, or ms, m, h, d, w
stop_timeout = "soon"
    16: program.web.stop_timeout: "soon" is no duration: a number with ms, s, m, h, d, w or y, as "10s"
stop_timeout = true
    16: program.web.stop_timeout: true or false cannot stand here: for example stop_timeout = "10s"
stop_timeout = "11q"
    16: program.web.stop_timeout: "11q" is no duration: a number with ms, s, m, h, d, w or y, as "10s"
stop_timeout = "9999d"
    16: program.web.stop_timeout: "9999d" is too long: "3650d" at the most
metrics.interval = "99ms"
    20: program.web.metrics.interval: "99ms" is too short: "100ms" at the least
recover_after = "0s"
    17: program.web.recover_after: "0s" is too short: "1ms" at the least
autostart = "yes"
    13: program.web.autostart: a text cannot stand here: for example autostart = true
instances = 0
    13: program.web.instances: it is too small: a whole number from 1 to 1000
instances = 99999999999999999999999
    13: program.web.instances: it is too large: a whole number from 1 to 1000
instances = 1.5
    13: program.web.instances: a number cannot stand here: for example instances = 1
backoff = { factor = 0.5 }
    22: program.web.backoff.factor: 0.5 is out of range: a number from 1 to 1000
backoff = { jitter = 2 }
    22: program.web.backoff.jitter: 2 is out of range: a number from 0 to 1
backoff = { jitter = nan }
    22: program.web.backoff.jitter: NaN is out of range: a number from 0 to 1
backoff = { initial = "5m" }
    23: program.web.backoff: initial (5m) is longer than max (1m): lower initial, or raise max
backoff = "5s"
    11: program.web.backoff: a text cannot stand here: a table of initial, max, factor, jitter, reset_after
backoff.inital = "5s"
    9: program.web.backoff.inital: unknown key: did you mean "initial"?
restart_limit.count = 0
    23: program.web.restart_limit.count: it is too small: a whole number from 1 to 1000000
restart = "sometimes"
    11: program.web.restart: "sometimes" is none of its values: "always", "on-failure", "never"
stop_signal = "TREM"
    15: program.web.stop_signal: "TREM" is no signal: did you mean "TERM"?
stop_signal = 15
    15: program.web.stop_signal: a whole number cannot stand here: for example stop_signal = "TERM"
stop_signal = []
    15: program.web.stop_signal: the list is empty: 1 to 64 steps
stop_signal = ["INT", "TREM"]
    23: program.web.stop_signal: "TREM" is no signal: did you mean "TERM"?
stop_signal = ["INT", { wait = "10s" }]
    15: program.web.stop_signal: it ends with a pause: end with a signal; stop_timeout is the pause after it
stop_signal = [{ wait = "10s" }, "INT"]
    15: program.web.stop_signal: it begins with a pause: begin with a signal
stop_signal = ["INT", { wait = 10 }, "TERM"]
    32: program.web.stop_signal: a whole number cannot stand here: a pause is written { wait = "10s" }
stop_signal = ["INT", { wait = "10" }, "TERM"]
    32: program.web.stop_signal: a duration needs a unit: "10s" for seconds, or ms, m, h, d, w
stop_signal = ["INT", { wiat = "10s" }, "TERM"]
    23: program.web.stop_signal: such a table cannot stand here: a pause is written { wait = "10s" }
success_exit_codes = [0, 256]
    26: program.web.success_exit_codes: no program ends with such a code: 0 to 255
success_exit_codes = 0
    22: program.web.success_exit_codes: a whole number cannot stand here: for example success_exit_codes = [0]
success_signals = ["TREM"]
    20: program.web.success_signals: "TREM" is no signal: did you mean "TERM"?
no_restart_signals = "TERM"
    22: program.web.no_restart_signals: a text cannot stand here: for example no_restart_signals = ["KILL"]
no_restart_exit_codes = [78, 300]
    30: program.web.no_restart_exit_codes: no program ends with such a code: 0 to 255
max_runtime = 12
    15: program.web.max_runtime: a duration needs a unit: "12s" for seconds, or ms, m, h, d, w
max_runtime = true
    15: program.web.max_runtime: true or false cannot stand here: for example max_runtime = { after = "12h", jitter = 0.1, announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
max_runtime = { jitter = 0.1 }
    15: program.web.max_runtime.after: it is missing: for example max_runtime = { after = "12h", jitter = 0.1, announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
max_runtime = { after = "1h", jitter = 2 }
    40: program.web.max_runtime.jitter: 2 is out of range: a number from 0 to 1
max_runtime = { after = "1h", jiter = 0.1 }
    31: program.web.max_runtime.jiter: unknown key: did you mean "jitter"?
rule = { when = "memory > 1GiB" }
    8: program.web.rule: there can be several rules: write [[program.web.rule]] with two brackets
rule = [{ for = "1m" }]
    9: program.web.rule.when: it is missing: for example rule = [{ when = "memory > 1.5GiB", for = "1m", do = ["alert", "restart"] }]
rule = [{ when = "memry > 1GiB" }]
    18: program.web.rule.when: "memry" is no figure: did you mean "memory"?
rule = [{ when = "rss > 1GiB" }]
    18: program.web.rule.when: "rss" is no figure: jikimi calls it "memory"
rule = [{ when = "restarts > many" }]
    18: program.web.rule.when: "many" is no value of restarts: a whole number, 1023 at the most, as "restarts > 3"
rule = [{ when = "restarts < 3" }]
    18: program.web.rule.when: few restarts break no rule: as "restarts > 3"
rule = [{ when = "restarts > 3", do = ["restart"] }]
    39: program.web.rule.do: a restart is no answer to restarts: "alert", "exec" or "stop"
rule = [{ when = "log_silence > 5" }]
    18: program.web.rule.when: "5" is no value of log_silence: a duration, as "log_silence > 5m"
log_silence = 5
    15: program.web.log_silence: a duration needs a unit: "5s" for seconds, or ms, m, h, d, w
log_silence = { then = "restart" }
    15: program.web.log_silence.after: it is missing: for example log_silence = { after = "5m", then = "restart" }
log_silence = { after = "5m", then = "stop" }
    38: program.web.log_silence.then: "stop" is none of its values: "alert", "restart"
log_silence = true
    15: program.web.log_silence: true or false cannot stand here: for example log_silence = { after = "5m", then = "restart" }
max_runtime = { after = "1h", announce = [] }
    42: program.web.max_runtime.announce: the list is empty: 1 to 32 lines
rule = [{ when = "memory 1GiB" }]
    18: program.web.rule.when: "memory 1GiB" compares nothing: a figure, > or <, and a value, as "memory > 1.5GiB"
rule = [{ when = "memory > lots" }]
    18: program.web.rule.when: "lots" is no value of memory: a size, as "memory > 1.5GiB"
rule = [{ when = "fds >= 1.5" }]
    18: program.web.rule.when: "1.5" is no value of fds: a whole number, as "fds > 1000"
rule = [{ when = "cpu > 80%", do = ["alrt"] }]
    37: program.web.rule.do: "alrt" is nothing a rule does: did you mean "alert"?
rule = [{ when = "cpu > 80%", do = ["exec"] }]
    9: program.web.rule.exec: it says not what to run: as exec = ["/usr/local/bin/dump", "web"]
rule = [{ when = "cpu > 80%", exec = "dump" }]
    38: program.web.rule.exec: nothing is run: add "exec" to do, or leave it out
rule = [{ when = "cpu > 80%", do = ["exec"], exec = [] }]
    53: program.web.rule.exec: the list is empty: for example rule = [{ when = "memory > 1.5GiB", for = "1m", do = ["alert", "restart"] }]
rule = [{ when = "cpu > 80%", do = ["exec"], exec = "dump 'a" }]
    53: program.web.rule.exec: a quote is not closed: close it, or write a list of texts
rule = [{ when = "cpu > 80%", do = ["exec"], exec = "dump", timeout = "1h" }]
    71: program.web.rule.timeout: "1h" is too long: "10m" at the most
rule = [{ when = "cpu > 80%", do = ["restart", "stop"] }]
    48: program.web.rule.do: it cannot do both: "restart" or "stop"
rule = [{ when = "cpu > 80%", four = "1m" }]
    31: program.web.rule.four: unknown key: did you mean "for"?
restart_at = "04:60"
    14: program.web.restart_at: "60" is no minute, which goes from 0 to 59: a time as "04:00", or minute, hour, day, month and day of the week as "0 4 * * mon"
restart_at = ["04:00", "0 0 31 2 *"]
    24: program.web.restart_at: there is no such day: a time as "04:00", or minute, hour, day, month and day of the week as "0 4 * * mon"
restart_at = { at = "04:00", zone = "Asia/Soul" }
    37: program.web.restart_at.zone: "Asia/Soul" is no time zone: did you mean "Asia/Seoul"?
restart_at = { zone = "UTC" }
    14: program.web.restart_at.at: it is missing: for example restart_at = { at = "04:00", zone = "Asia/Seoul", announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
restart_at = { at = "04:00", announce = "say" }
    41: program.web.restart_at.announce: a text cannot stand here: for example restart_at = { at = "04:00", zone = "Asia/Seoul", announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
restart_at = { at = "04:00", announce = [] }
    41: program.web.restart_at.announce: the list is empty: 1 to 32 lines
restart_at = { at = "04:00", announce = [{ before = "2d", line = "a" }] }
    53: program.web.restart_at.announce.before: "2d" is too long: "1d" at the most
restart_at = { at = "04:00", announce = [{ line = "a" }] }
    42: program.web.restart_at.announce.before: it is missing: for example restart_at = { at = "04:00", zone = "Asia/Seoul", announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
restart_at = { at = "04:00", announce = [{ before = "1m", line = "a\nb" }] }
    66: program.web.restart_at.announce.line: it is no single line: lines of 4095 bytes at the most, without their ends
restart_at = { at = "04:00", announce = [{ before = "1m", line = "a" }] } | stdin = "null"
    14: program.web.restart_at.announce: with stdin = "null" nothing can be typed: leave stdin out, or write stdin = "pipe"
restart_at = 4
    14: program.web.restart_at: a whole number cannot stand here: for example restart_at = { at = "04:00", zone = "Asia/Seoul", announce = [{ before = "5m", line = "say restart in 5 minutes" }] }
schedule = { at = "04:00", zon = "UTC" }
    28: program.web.schedule.zon: unknown key: did you mean "zone"?
environment = { A = 1 }
    21: program.web.environment.A: a whole number cannot stand here: put the value in "quotes"
environment = { "A=B" = "1" }
    17: program.web.environment.A=B: "A=B" is no name of a variable: a name without = in it
environment = { A = "x\u0000" }
    21: program.web.environment.A: it has a NUL character: take it out
env_file = "none.env"
    12: program.web.env_file: cannot be read, there is no such file: name a file that can be read
env_file = "."
    12: program.web.env_file: cannot be read, it is no regular file: name a file that can be read
directory = ""
    13: program.web.directory: it is empty: write something, or leave the key out
directory = "${NONE}"
    13: program.web.directory: the environment variable NONE is not set: set it, or write ${NONE:-default}, or $${NONE} for a plain ${NONE}
tags = ["a b"]
    9: program.web.tags: "a b" is no name: letters, digits, _ . and -, the first a letter or digit, 64 at the most
stdin = "pip"
    9: program.web.stdin: "pip" is none of its values: "null", "pipe"
stop_stdin = ["stop"] | stdin = "null"
    14: program.web.stop_stdin: with stdin = "null" nothing can be typed: leave stdin out, or write stdin = "pipe"
stdin = "pipe" | terminal = true
    9: program.web.stdin: with terminal = true its standard input is the terminal: leave one of the two out
stop_stdin = "stop"
    14: program.web.stop_stdin: a text cannot stand here: for example stop_stdin = ["say bye", { wait = "10s" }, "stop"]
stop_stdin = ["say", { wait = "1s" }]
    14: program.web.stop_stdin: it ends with a pause: end with a line; stop_timeout is the pause after it
stop_stdin = ["a\nb"]
    15: program.web.stop_stdin: it is no single line: lines of 4095 bytes at the most, without their ends
depends_on = ["bd"]
    15: program.web.depends_on: no program is called "bd": there is web, db
depends_on = ["web"]
    15: program.web.depends_on: it depends on itself: take "web" out
depends_on = { db = "well" }
    21: program.web.depends_on.db: "well" is no condition: "started", "healthy" or "completed"
depends_on = { db = "startd" }
    21: program.web.depends_on.db: "startd" is no condition: did you mean "started"?
depends_on = { db = true }
    21: program.web.depends_on.db: true or false cannot stand here: write "started"
depends_on = "db"
    14: program.web.depends_on: a text cannot stand here: for example depends_on = { db = "healthy" }
user = "no such user"
    8: program.web.user: this machine has no user "no such user": a user that there is, by its name or number
user = ["root"]
    8: program.web.user: a list cannot stand here: for example user = "nobody"
user = ""
    8: program.web.user: it is empty: write something, or leave the key out
group = "no such group"
    9: program.web.group: this machine has no group "no such group": a group that there is, by its name or number
supplementary_groups = ["no such group"]
    25: program.web.supplementary_groups: this machine has no group "no such group": a group that there is, by its name or number
umask = 22
    9: program.web.umask: a mask is written in octal: in quotes, as "022"
umask = "0o22"
    9: program.web.umask: "0o22" is no mask: octal digits, from "000" to "777"
umask = "1000"
    9: program.web.umask: "1000" is no mask: octal digits, from "000" to "777"
nice = 20
    8: program.web.nice: it is too large: a whole number from -20 to 19
rlimits = { nofiles = 1 }
    13: program.web.rlimits.nofiles: "nofiles" is no limit: did you mean "nofile"?
rlimits = { nofile = "many" }
    22: program.web.rlimits.nofile: "many" is no limit: a number, a size, "unlimited", or two of them as "1024:65536"
rlimits = { nofile = "2:1" }
    22: program.web.rlimits.nofile: "2:1": the first is above the second: the soft limit first, then the hard one
rlimits = { core = true }
    20: program.web.rlimits.core: true or false cannot stand here: a number, a size, "unlimited", or two of them as "1024:65536"
readiness = { http = "x" }
    22: program.web.readiness.http: it does not begin with https:// or http://: an address as https://host/path
readiness = { tcp = "8080" }
    21: program.web.readiness.tcp: it is no address with a port: as "127.0.0.1:8080", "localhost:8080" or "[::1]:8080"
readiness = {}
    1: program.web.readiness: it says not what to check: one of http, tcp, exec, log_line, notify
liveness = {}
    1: program.web.liveness: it says not what to check: one of http, tcp, exec, notify
readiness = { interval = "1s" }
    26: program.web.readiness: it says not what to check: one of http, tcp, exec, log_line, notify
readiness = { log_line = "ready (" }
    26: program.web.readiness.log_line: "ready (" is no regular expression: unclosed group: a regular expression as "Listening on"
readiness = { log_line = "x*" }
    26: program.web.readiness.log_line: it is found in every line: a regular expression as "Listening on"
readiness = { log_line = ["ready"] }
    26: program.web.readiness.log_line: a list cannot stand here: for example log_line = "Listening on"
readiness = { log_line = "ready", tcp = "a:1" }
    26: program.web.readiness: it has tcp already, and a probe checks one thing: keep one of them
liveness = { log_line = "ready" }
    14: program.web.liveness.log_line: unknown key: it is known as program.NAME.readiness.log_line
liveness = { tcp = "a:1", exec = "true" }
    34: program.web.liveness: it has tcp already, and a probe checks one thing: keep one of them
liveness = { exec = "true", timeout = "2m" }
    39: program.web.liveness.timeout: "2m" is too long: "1m" at the most
liveness = { exec = "true", failure_threshold = 0 }
    49: program.web.liveness.failure_threshold: it is too small: a whole number from 1 to 1000
liveness = { exec = "a 'b" }
    21: program.web.liveness.exec: a quote is not closed: close it, or write a list of texts
readiness = "http://127.0.0.1/"
    13: program.web.readiness: a text cannot stand here: a table of http, tcp, exec, log_line, notify, interval, timeout, initial_delay, success_threshold, failure_threshold
metrics.scrape = "x"
    9: program.web.metrics.scrape: not available in this version: leave it out
comand = "x"
    1: program.web.comand: unknown key: did you mean "command"?
state_dir = "x"
    1: program.web.state_dir: unknown key: it is known as supervisor.state_dir
cwd = "/"
    1: program.web.cwd: unknown key: jikimi calls it "directory"
working-dir = "/"
    1: program.web.working-dir: unknown key: jikimi calls it "directory"
env = { A = "1" }
    1: program.web.env: unknown key: jikimi calls it "environment"
numprocs = 2
    1: program.web.numprocs: unknown key: jikimi calls it "instances"
stopsignal = "TERM"
    1: program.web.stopsignal: unknown key: jikimi calls it "stop_signal"
startsecs = 1
    1: program.web.startsecs: unknown key: jikimi calls it "start_confirm"
max_restarts = 3
    1: program.web.max_restarts: unknown key: jikimi calls it "restart_limit.count"
restart_delay = "1s"
    1: program.web.restart_delay: unknown key: jikimi calls it "backoff.initial"
stopwaitsecs = 10
    1: program.web.stopwaitsecs: unknown key: jikimi calls it "stop_timeout"
kill_timeout = 10
    1: program.web.kill_timeout: unknown key: jikimi calls it "stop_timeout"
uid = 0
    1: program.web.uid: unknown key: jikimi calls it "user"
"\u001b[2J" = 1
    1: program.web."\x1b[2J": unknown key: here stand command, shell, directory, environment, environment_clear, env_file, instances, autostart, restart, success_exit_codes, success_signals, no_restart_exit_codes, no_restart_signals, start_confirm, stop_signal, stop_timeout, stop_stdin, depends_on, restart_with, backoff, restart_limit, rule, max_runtime, log_silence, restart_at, schedule, recover_after, logs, tags, metrics, readiness, start_timeout, liveness, stdin, user, group, supplementary_groups, umask, nice, rlimits, terminal, new_session
autostart = yes
    13: syntax: the value is missing, or is a text without quotes: put a text in "quotes"
autostart
    10: syntax: a key has no value: write key = value
command = "y"
    1: syntax: this stands twice: keep one of them
"#;

/// A whole file; the answer begins with its line.
const IN_A_COMMAND: &str = r##"
[program.web]
    1:1: program.web.command: it is missing: for example command = ["sleep", "1d"]
[program.web.backoff]
    1:10: program.web.command: it is missing: for example command = ["sleep", "1d"]
[program.web] | command = ""
    2:11: program.web.command: it is empty: name a program to run
[program.web] | command = "# only a remark"
    2:11: program.web.command: it is empty: name a program to run
[program.web] | command = []
    2:11: program.web.command: the list is empty: for example command = ["sleep", "1d"]
[program.web] | command = [""]
    2:11: program.web.command: its first text is empty: name a program to run
[program.web] | command = ["a", 1]
    2:17: program.web.command: a whole number cannot stand here: for example command = ["sleep", "1d"]
[program.web] | command = "echo 'x"
    2:11: program.web.command: a quote is not closed: close it, or write a list of texts
[program.web] | shell = true | command = ["a"]
    3:11: program.web.command: with shell = true it cannot be a list: write the command as one text
[program.web] | command = "x ${NONE}"
    2:11: program.web.command: the environment variable NONE is not set: set it, or write ${NONE:-default}, or $${NONE} for a plain ${NONE}
[program] | command = "x"
    2:1: program.command: a text cannot stand here: give the table a name, as [program.web]
[program.all] | command = "x"
    1:10: program.all: "all" means every program: choose another name
[program."a b"] | command = "x"
    1:10: program."a b": "a b" is no name: letters, digits, _ . and -, the first a letter or digit, 64 at the most
program = 3
    1:11: program: a whole number cannot stand here: a table with a name, as [program.web]
"##;

/// A whole file; the answer begins with its line.
const ELSEWHERE: &str = r#"
[target.a]
    1:1: target.a.kind: it is missing: kind = one of webhook, discord, slack, telegram, ntfy, mattermost, google_chat, teams, matrix, gotify, pushover, pagerduty, alertmanager, exec
[target.a] | kind = "discrod"
    2:8: target.a.kind: "discrod" is none of its values: "webhook", "discord", "slack", "telegram", "ntfy", "mattermost", "google_chat", "teams", "matrix", "gotify", "pushover", "pagerduty", "alertmanager", "exec"
[target.a] | kind = "email" | topic = "x"
    2:8: target.a.kind: "email" is not available in this version: "webhook", "discord", "slack", "telegram", "ntfy", "mattermost", "google_chat", "teams", "matrix", "gotify", "pushover", "pagerduty", "alertmanager", "exec"
[target.a] | kind = "discord"
    1:1: target.a.url: it is missing: for example url = "${DISCORD_WEBHOOK_URL}"
[target.a] | kind = "discord" | url = "discord.com/x"
    3:7: target.a.url: it does not begin with https:// or http://: an address as https://host/path
[target.a] | kind = "discord" | url = "https://me:pw@host/"
    3:7: target.a.url: it has a user or password: leave them out; a webhook can send them as headers
[target.a] | kind = "discord" | url = 3
    3:7: target.a.url: a whole number cannot stand here: a text in "quotes", or { file = "secrets/x" }
[target.a] | kind = "discord" | url = { file = "none" }
    3:7: target.a.url: the secret's file: cannot be read, there is no such file: name a file that can be read
[target.a] | kind = "discord" | url = { path = "x" }
    3:7: target.a.url: a table here names a file and nothing else: { file = "secrets/x" }
[target.a] | kind = "discord" | url = "https://h" | headers = {}
    4:1: target.a.headers: a discord target has no such key: it has kind, url, on_resolve, thread, breaker, rate, timeout, language, template, fallback, fallback_after, proxy, ca_file, allow_private
[target.a] | kind = "discord" | url = "https://h" | webhook_url = "x"
    4:1: target.a.webhook_url: unknown key: jikimi calls it "url"
[target.a] | kind = "discord" | url = "https://h" | timeout = "3m"
    4:11: target.a.timeout: "3m" is too long: "2m" at the most
[target.a] | kind = "discord" | url = "https://h" | rate.burst = 0
    4:14: target.a.rate.burst: it is too small: a whole number from 1 to 10000
[target.a] | kind = "discord" | url = "https://h" | breaker.cooldown = "1h"
    4:20: target.a.breaker: cooldown (1h) is longer than cooldown_max (15m): lower cooldown, or raise cooldown_max
[target.a] | kind = "discord" | url = "https://h" | fallback = "a"
    4:12: target.a.fallback: it is its own fallback: name another target
[target.pager] | kind = "webhook" | url = "https://h" | [target.a] | kind = "discord" | url = "https://h" | fallback = "pagr"
    7:12: target.a.fallback: no target is called "pagr": did you mean "pager"?
[target.a] | kind = "webhook" | url = "https://h" | fallback = "b" | [target.b] | kind = "webhook" | url = "https://h" | fallback = "c" | [target.c] | kind = "webhook" | url = "https://h" | fallback = "a"
    4:12: target.a.fallback: these stand in for each other, a -> b -> c -> a: take one of them out
[target.a] | kind = "slack" | url = "https://h" | token = "xoxb-1"
    1:1: target.a: it has an address, and a token or channel: url of an incoming webhook, or token and channel of a bot
[target.a] | kind = "slack" | token = "xoxb-1"
    1:1: target.a: it has a token and no channel: url of an incoming webhook, or token and channel of a bot
[target.a] | kind = "slack" | token = "hunter2" | channel = "ops"
    3:9: target.a.token: it is no token of Slack's: the bot token as Slack shows it, which begins with xoxb-
[target.a] | kind = "slack"
    1:1: target.a: it has no address and no token: url of an incoming webhook, or token and channel of a bot
[target.a] | kind = "discord" | url = "https://h" | thread = "17?x=y"
    4:10: target.a.thread: it is no id of a thread: "per-program", or an id as the service shows it
[target.a] | kind = "discord" | url = "https://h" | on_resolve = "shout"
    4:14: target.a.on_resolve: "shout" is none of its values: "edit", "edit_and_reply", "new", "delete"
[target.a] | kind = "telegram" | chat_id = 1 | token = "x"
    4:9: target.a.token: it is no token of a bot: digits, a colon and the key, as @BotFather gives it
[target.a] | kind = "telegram" | chat_id = "me" | token = "1:x"
    3:11: target.a.chat_id: "me" is no chat: the chat's number, as -1001234567890, or "@channel"
[target.a] | kind = "telegram" | chat_id = 1 | token = "1:x" | api_url = "x"
    5:11: target.a.api_url: it does not begin with https:// or http://: an address as https://host/path
[target.a] | kind = "ntfy" | url = "https://ntfy.sh" | topic = "a/b"
    4:9: target.a.topic: it is no topic: 1 to 64 letters, digits, _ and -, without the server's address
[target.a] | kind = "ntfy" | url = "https://ntfy.sh" | topic = "a" | token = "a b"
    5:9: target.a.token: it is no token: it has blanks or other characters a token cannot have, or is too long: the token as the service shows it
[target.a] | kind = "gotify" | url = "https://h"
    1:1: target.a.token: it is missing: for example token = "${GOTIFY_TOKEN}"
[target.a] | kind = "matrix" | url = "https://h" | token = "t" | room = "\u0023ops:h"
    5:8: target.a.room: it is an alias of a room: the room's id from its advanced settings, as "!abc:example.org"
[target.a] | kind = "matrix" | url = "https://h" | token = "t" | room = "ops"
    5:8: target.a.room: it is no room: the room's id from its advanced settings, as "!abc:example.org"
[target.a] | kind = "pushover" | token = "short" | user = "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
    3:9: target.a.token: it is no key of Pushover's: 30 letters and digits, as pushover.net shows them
[target.a] | kind = "exec" | command = ["x"] | environment = { "A B" = "S3CRET" }
    4:17: target.a.environment.A B: it cannot be a variable's name: letters, digits and _, no digit first, and not JIKIMI_ before it
[target.a] | kind = "pagerduty" | routing_key = "S3CRET"
    3:15: target.a.routing_key: it is no integration key: 32 letters and digits, as the Events API v2 integration of the service shows them
[target.a] | kind = "alertmanager" | url = "https://h" | resend = "500ms"
    4:10: target.a.resend: "500ms" is too short: "1s" at the least
[target.a] | kind = "webhook" | url = "https://h" | secret = "x"
    4:10: target.a.secret: it does not begin with whsec_: whsec_ and the base64 of 24 to 64 random bytes
[target.a] | kind = "webhook" | url = "https://h" | secret = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA"]
    4:53: target.a.secret: its key has 3 bytes: whsec_ and the base64 of 24 to 64 random bytes
[target.a] | kind = "webhook" | url = "https://h" | headers = { Host = "x" }
    4:13: target.a.headers.Host: jikimi sets this header itself: leave it out
[target.a] | kind = "webhook" | url = "https://h" | headers = { X = "a\nb" }
    4:17: target.a.headers.X: it has characters that a header cannot have: plain ASCII on one line
[[route]]
    1:1: route.targets: it is missing: for example targets = ["ops"]
[route] | targets = ["a"]
    1:2: route: there can be several routes: write [[route]] with two brackets
[[route]] | targets = []
    2:11: route.targets: the list is empty: for example targets = ["ops"]
[[route]] | targets = ["ops"]
    2:12: route.targets: no target is called "ops": there is none to name
[supervisor] | name = "a\nb"
    2:8: supervisor.name: it is too long for one line, or has control characters: 128 plain characters at the most
[supervisor] | cwd = "x"
    2:1: supervisor.cwd: unknown key: here stand name, state_dir, shutdown_timeout
[programs.web] | command = "x"
    1:2: programs: unknown key: jikimi calls it "program"
[progam.web] | command = "x"
    1:2: progam: unknown key: did you mean "program"?
[control] | supervisord = true
    2:1: control.supervisord: not available in this version: leave it out
[control] | http = "example.org:80"
    2:8: control.http: it is not an address of this machine with a port: for example "127.0.0.1:9110" or "[::1]:9110"
[control] | http = "0.0.0.0:80"
    2:8: control.http: others could reach it there, and everybody may read without a token: give control.token or control.read_token, or listen on 127.0.0.1
[control] | token = "short"
    2:9: control.token: it is so short that it could be guessed: 16 characters at the least, as `openssl rand -hex 24` makes them
[notify] | workers = 65
    2:11: notify.workers: it is too large: a whole number from 1 to 64
[log] | level = "loud"
    2:9: log.level: "loud" is none of its values: "error", "warn", "info", "debug", "trace", "off"
include = ["none.toml"]
    1:12: include: none.toml: cannot be read, there is no such file: name a file that can be read
include = ["*/a.toml"]
    1:12: include: only the last part of a path can be a pattern: for example "programs.d/*.toml"
include = "a.toml"
    1:11: include: a text cannot stand here: for example include = ["programs.d/*.toml"]
"#;

/// The mistakes and the answers of a table.
fn rows(table: &str) -> Vec<(String, &str)> {
    let lines: Vec<&str> = table.lines().filter(|l| !l.is_empty()).collect();
    let rows = lines.chunks(2).map(|pair| match pair {
        [mistake, answer] => (mistake.replace(" | ", "\n"), answer.trim_start()),
        _ => panic!("{pair:?} is no pair"),
    });
    rows.collect()
}

#[test]
fn every_mistake_in_a_program_has_its_own_sentence() {
    for (line, answer) in rows(IN_A_PROGRAM) {
        let text =
            format!("[program.web]\ncommand = \"x\"\n{line}\n[program.db]\ncommand = \"x\"\n");
        assert_eq!(faults_of(&text), [format!("j.toml:3:{answer}")], "{line}");
    }
}

#[test]
fn every_mistake_in_a_command_has_its_own_sentence() {
    for (text, answer) in rows(IN_A_COMMAND) {
        assert_eq!(faults_of(&text), [format!("j.toml:{answer}")], "{text}");
    }
}

#[test]
fn every_mistake_in_targets_routes_and_settings_has_its_own_sentence() {
    for (text, answer) in rows(ELSEWHERE) {
        assert_eq!(faults_of(&text), [format!("j.toml:{answer}")], "{text}");
    }
}
