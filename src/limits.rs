//! Every bound of the program, with the relations between them asserted at compile time.

use std::time::Duration;

/// The kernel shows this much of a thread's name.
pub const THREAD_NAME_BYTES: usize = 15;

/// Heaps that all threads share.
pub const HEAPS: i32 = 2;

// app.

/// Faults of the storage on their way to the relay; more at once say nothing new.
pub const RELAY_INBOX: usize = 64;

/// The least time from one start of a holder process to the next.
pub const HOLDER_AGAIN: Duration = Duration::from_secs(5);

/// How often deliveries that became too old are looked for.
pub const EXPIRE_SWEEP: Duration = Duration::from_mins(1);

/// The latest samples of a run that go with its end: a small picture of what it used.
pub const EVENT_SAMPLES: usize = 20;
/// Lines of output that go with a crash.
pub const EVENT_TAIL_LINES: usize = 10;

/// Things that are different since a run did well; more make a line that nobody reads.
pub const EVENT_CHANGES: usize = 8;
/// A run that lasted this long did well, whatever ended it.
pub const RUN_DID_WELL: Duration = Duration::from_mins(1);
/// Words of a command that are looked at for the files they name.
pub const CHANGE_WORDS: usize = 32;

/// Bytes of a template.
pub const TEMPLATE_BYTES: usize = 16 * 1_024;
/// Steps that a template may take; one of a hundred lines takes some thousands.
pub const TEMPLATE_FUEL: u64 = 50_000;
/// Loops of a template within themselves.
pub const TEMPLATE_RECURSION: usize = 16;
/// Bytes that a template may say: more than any target takes.
pub const TEMPLATE_OUTPUT_BYTES: usize = 64 * 1_024;
/// Bytes of a template that are shown with what is wrong there.
pub const TEMPLATE_PIECE: usize = 48;

/// How long the main thread waits for the journal to say what a test message became.
pub const JOURNAL_ANSWER: Duration = Duration::from_secs(2);

/// A step of the shutdown other than stopping programs and the last pass of deliveries.
pub const STOP_STEP: Duration = Duration::from_secs(10);

/// How long such a step works before it says what is left.
pub const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// A step of the shutdown once somebody is in haste.
pub const STOP_STEP_PRESSED: Duration = Duration::from_secs(1);

/// Stopping programs once somebody is in haste: KILL has been sent, and the kernel needs a moment.
pub const STOP_PRESSED: Duration = Duration::from_secs(5);

/// The last pass over what waits for targets that answer.
pub const STOP_LAST_PASS: Duration = Duration::from_secs(5);

/// The last pass with the end of the workers that are sending.
pub const STOP_DELIVERIES: Duration = Duration::from_secs(10);

/// How often the line that says for whom the shutdown waits is made anew.
pub const STOP_LINE: Duration = Duration::from_millis(500);

/// How long the last lines may take to reach the terminal.
pub const TERMINAL_LAST: Duration = Duration::from_secs(2);

const _: () = assert!(STOP_PATIENCE.as_secs() + LOG_READERS_GRACE.as_secs() < STOP_STEP.as_secs());
const _: () = assert!(STOP_LAST_PASS.as_secs() < STOP_DELIVERIES.as_secs());
const _: () = assert!(ORPHANS_ASKED.as_secs() + ORPHANS_KILLED.as_secs() < STOP_PRESSED.as_secs());

// reload.

/// Reloads that wait for each other; each has its asker, or is a signal that nobody has to send in masses.
pub const RELOADS_WAITING: usize = 16;

/// Orders to the thread that reads the configuration: one reading, and one errand of the reload before.
pub const RELOAD_ORDERS: usize = 2;

// alert and journal.

/// Records that wait for the journal: 500 programs that crash at once give four each.
pub const JOURNAL_QUEUE: usize = 8_192;

/// Characters of a cause or a name in a summary: it is one line, also on a telephone.
pub const SUMMARY_PART_CHARS: usize = 200;

/// A crash may have been the kernel's doing when its counter rose within this time before it was looked at.
pub const OOM_NEAR: Duration = Duration::from_secs(20);

/// A counter that was looked at this short before and after says when it rose; else it may have been any time.
pub const OOM_SPAN: Duration = Duration::from_mins(1);

/// Ancestors of a process that are asked whether they are a program's.
pub const DESCENT_STEPS: usize = 16;

/// Ports a crash may be about that are looked up.
pub const PORT_CANDIDATES: usize = 8;

/// The search for the process that holds a port.
pub const PORT_LOOK: Duration = Duration::from_millis(300);

/// Of such searches, and looks through the kernel's log, there are at most so many,
pub const PORT_LOOKS: usize = 10;

/// within this time: crash loops of many programs must not keep the journal from its work.
pub const PORT_LOOKS_WITHIN: Duration = Duration::from_secs(10);

const _: () = assert!(PORT_LOOK.as_millis() * (PORT_LOOKS as u128) < PORT_LOOKS_WITHIN.as_millis());

// cache.

/// Answers kept in memory, whatever they answer.
pub const CACHE_ENTRIES: u64 = 10_000;

// child and supervise.

/// What is left after KILL is killed again this often: a process that forks while it is killed leaves a child.
pub const KILL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// From the last signal to KILL, for a program that was asked by console lines first and given `stop_timeout`.
pub const STOP_AFTER_LINES: Duration = Duration::from_secs(5);

/// A line typed into a program's standard input, without its end: with it, the most that a pipe takes whole or not
/// at all.
pub const CONSOLE_LINE_BYTES: usize = rustix::pipe::PIPE_BUF - 1;

/// A program that is stopped, and did not end, is told after this: one that goes on before is no news.
pub const HALT_TOLD_AFTER: Duration = Duration::from_secs(1);
/// Children that were stopped or go on, looked at in one turn.
pub const PAUSES_AT_ONCE: usize = 1_024;

/// Rows and columns of a program's terminal until somebody attaches to it.
pub const TERMINAL_SIZE: (u16, u16) = (24, 80);

/// Rows and columns that a terminal can be told to have: a program may make room for each place.
pub const TERMINAL_SIDE_MAX: u16 = 4_096;

/// Keys of one request; no less than what a terminal gives at once when something is pasted.
pub const KEYS_BYTES: usize = 4_096;
const _: () = assert!(KEYS_BYTES < CONTROL_BODY_BYTES);

/// Steps of a stop: lines or signals, and the pauses between them.
pub const STOP_STEPS_MAX: usize = 64;

/// Characters of a console line in the words that say where a stop stands.
pub const STOP_LINE_SHOWN: usize = 40;

/// How often the end of another's child is looked for: its zombie may be reaped between two looks.
pub const ADOPTED_EXIT_LOOKS: u8 = 4;

/// An unwritten run is taken over whole when its main process began within this time of the run's id; an older or
/// younger leader of a group is something the run left behind.
pub const ADOPTED_BIRTH_WITHIN: Duration = Duration::from_secs(2);

/// At the end of the supervisor: from TERM to KILL for daemons that no run accounts for.
pub const ORPHANS_ASKED: Duration = Duration::from_secs(3);

/// And from KILL to looking no more.
pub const ORPHANS_KILLED: Duration = Duration::from_secs(1);

/// From the spawn of a program with settings of its own to its beginning; a file system may hang on the way.
pub const LAUNCH_MAX: Duration = Duration::from_secs(30);

/// Descriptors the supervisor needs besides its instances: database, sockets, deliveries, terminal.
pub const OPEN_FILES_BASE: u64 = 512;

/// Descriptors of one instance: a pidfd, once more for the holder, three pipes, two segments with their index, three of the sampler.
pub const OPEN_FILES_PER_INSTANCE: u64 = 13;

/// Requests on their way to the supervision actor; each comes from a connection, of which there are fewer.
pub const SUPERVISOR_INBOX: usize = 256;

/// When to look again at an orphan whose environment reads as empty. The last part of an `execve`, in which it
/// does, takes some 10 µs of CPU, and a busy machine makes milliseconds of it.
pub const EXEC_LOOK: Duration = Duration::from_millis(5);

/// After so many looks such an orphan was started without an environment, and belongs to nobody we know.
pub const EXEC_LOOKS: u8 = 20;

/// A planned time that is no longer ago is made up for when the machine slept over it or its clock was set forward;
/// and a clock that is set back by no more than this repeats nothing.
pub const SCHEDULE_GRACE: Duration = Duration::from_hours(1);

/// Lines that announce one planned restart.
pub const ANNOUNCEMENTS_MAX: usize = 32;

/// The longest before a planned restart that a line announces it.
pub const ANNOUNCE_BEFORE_MAX: Duration = Duration::from_hours(24);

/// A line that announces a planned restart is typed no later than this: what it says would not be true any more.
pub const ANNOUNCE_LATE: Duration = Duration::from_secs(2);

/// Rules of one program.
pub const PROGRAM_RULES: usize = 32;

/// A program that ends so soon after a person sent it a signal that asks it to end was ended by that person.
pub const SIGNAL_BLAME: Duration = Duration::from_secs(10);

/// A rule about restarts that does not say so counts those of this time.
pub const RULE_RESTARTS_WITHIN: Duration = Duration::from_hours(1);

/// Restarts of one instance that are remembered for its rules; a rule about more counts these.
pub const RULE_RESTARTS_KEPT: usize = 1_024;

/// Rules that turned and wait for supervision, which takes them out at once; more are dropped and counted.
pub const RULE_TURNS: usize = 16_384;

/// How often the calendars are looked at again because the clock was set meanwhile; then its next setting is waited for.
pub const CLOCK_LOOKS: u8 = 3;

/// Days in which a line of cron must come: the longest there is between two 29ths of February, and a year.
pub const CALENDAR_DAYS: i64 = 9 * 366;

/// Commands of rules that run at once.
pub const RULE_COMMAND_WORKERS: usize = 4;

/// Commands of rules that wait for those that run; more are not run, which is said.
pub const RULE_COMMANDS_WAITING: usize = 256;

/// How long the command of a rule may take, unless its rule says.
pub const RULE_COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long it may be given.
pub const RULE_COMMAND_TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// What is kept of a helper's output: its last lines say why it failed.
pub const HELPER_OUTPUT: usize = 4 << 10;

/// What a helper may be given to read from its standard input: an event with its facts is a few KiB.
pub const HELPER_INPUT: usize = 128 << 10;

/// Reads of a helper's pipe after its end, each of a page: a whole pipe, and no more if somebody writes on.
pub const HELPER_LAST_READS: usize = 32;

/// Looks for what a helper left that must find nothing, one after the other: the kernel's list of children may pass
/// one over while another is reaped.
pub const HELPER_QUIET_LOOKS: u32 = 2;

/// How long the kernel is given to end what was killed of a helper.
pub const HELPER_KILLED: Duration = Duration::from_secs(1);

/// Ends of processes taken from the kernel in one round; more come in the next.
pub const EPOLL_EVENTS: usize = 256;

// config.

/// Files of one configuration, includes counted: more is a glob that went astray.
pub const CONFIG_FILES_MAX: usize = 512;
/// A configuration file or `env_file` is read up to this size: 500 programs take about 200 KiB.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Left alone for so long, a file's times tell its next change: the coarsest file systems tick every two seconds.
pub const CONFIG_FILE_SETTLES: Duration = Duration::from_secs(3);
/// A file that holds one secret: keys and certificates are a few KiB.
pub const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;
/// Faults kept and printed; the rest is counted. Nobody reads more at once.
pub const CONFIG_FAULTS_MAX: usize = 500;
/// Syntax errors of a file that are stepped over to find the next one; each step parses the file again.
pub const CONFIG_REPAIRS_MAX: usize = 64;
/// All that is parsed again for that: a large file of nonsense is answered after a few steps.
pub const CONFIG_REPARSED_BYTES_MAX: usize = 4 << 20;
/// No configured duration is longer: ten years, so that adding it to any time cannot overflow.
pub const CONFIG_DURATION_MAX: Duration = Duration::from_hours(24 * 3_650);
/// The bytes of a socket's path (`sun_path` is 108 with its closing NUL).
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// The name of a program or target: it becomes the name of a folder.
pub const NAME_BYTES_MAX: usize = 64;
/// Instances of one program.
pub const PROGRAM_INSTANCES_MAX: u16 = 1_000;
/// Instances of all programs: eight times what the supervisor is measured for.
pub const INSTANCES_MAX: usize = 4_096;
/// Threads that send notifications, as configured numbers are counted.
pub const NOTIFY_WORKERS_CONFIGURABLE: i64 = 64;
/// The value of one request header of a webhook.
pub const HEADER_VALUE_BYTES_MAX: usize = 4_096;
const _: () = assert!(PROGRAM_INSTANCES_MAX as usize <= INSTANCES_MAX);

// control and cli.

/// Connections served at once. Beyond it the oldest that has not yet sent its request makes room.
pub const CONTROL_CONNECTIONS: usize = 64;

/// Of these, at most so many follow events or wait for a verb, so that `status` always finds room.
pub const CONTROL_LONG: usize = 32;

/// A request must have arrived whole within this, however it trickles in.
pub const CONTROL_REQUEST: Duration = Duration::from_secs(5);

/// A reader that takes longer for one answer, or one event of a stream, is cut off.
pub const CONTROL_WRITE: Duration = Duration::from_secs(10);

/// Request line and headers. Ours take 200 bytes, browsers' with cookies some thousands.
pub const CONTROL_HEAD_BYTES: usize = 16 * 1024;

/// Headers in a request.
pub const CONTROL_HEADERS: usize = 64;

/// The body of a request: a console line to a program fits many times.
pub const CONTROL_BODY_BYTES: usize = 64 * 1024;

/// A thread that waits for events or an answer looks this often whether it is still wanted.
pub const CONTROL_SLICE: Duration = Duration::from_millis(250);

/// How often the server looks whether its socket file is still there, in seconds.
pub const CONTROL_LOOK_SECONDS: i64 = 5;

/// A stream with nothing to say says so this often, which also shows that its reader is gone.
pub const CONTROL_HEARTBEAT: Duration = Duration::from_secs(15);

/// Events in one answer.
pub const CONTROL_PAGE: usize = 1_000;

/// From the end of the server to cutting the connections that are still in an answer.
pub const CONTROL_STOP_GRACE: Duration = Duration::from_secs(2);

/// After an early answer the rest of the request is read and dropped for this long, because closing with
/// unread bytes resets the connection and may take the answer with it.
pub const CONTROL_LINGER: Duration = Duration::from_millis(500);

/// Connections over TCP at once, beside those of the socket.
pub const HTTP_CONNECTIONS: usize = 64;

/// When a connection that found no room may come again.
pub const HTTP_RETRY_AFTER_SECONDS: u32 = 2;

/// The shortest token: with letters and digits only it has 95 bits.
pub const TOKEN_CHARS_MIN: usize = 16;

/// Wrong tokens within [`HTTP_WRONG_WINDOW`] that are told so; the next ones are told to wait.
pub const HTTP_WRONG_TOKENS: u32 = 20;

/// See there.
pub const HTTP_WRONG_WINDOW: Duration = Duration::from_mins(1);

/// Commands on their way to the supervisor: one a connection that may send one.
pub const CONTROL_COMMANDS: usize = 128;

/// How long a command waits for room before the answer is "busy".
pub const CONTROL_SEND: Duration = Duration::from_secs(1);

/// How long the server holds a question about a delivery that is still under way.
pub const DELIVERY_WAIT: Duration = Duration::from_secs(5);

/// How long `upgrade` waits for the supervisor to answer as another version.
pub const UPGRADE_WAIT: Duration = Duration::from_mins(1);

/// How often it looks: a supervisor that becomes another one has no socket meanwhile.
pub const UPGRADE_LOOK: Duration = Duration::from_millis(50);

/// An answer of the supervisor that waits for nothing.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer: a page of events with their log tails.
pub const CLIENT_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How often the line of a command that waits for programs to stop is made anew.
pub const WAIT_LINE: Duration = Duration::from_millis(500);

/// One event of a stream.
pub const CLIENT_LINE_BYTES: usize = 1024 * 1024;

/// One entry of the register of running supervisors.
pub const REGISTRY_ENTRY_BYTES: usize = 16 * 1024;

/// Entries looked at when the only one is wanted.
pub const REGISTRY_ENTRIES: usize = 256;

/// Deliveries that `deliveries list` shows unless it is told how many.
pub const DELIVERIES_LISTED: usize = 50;

/// Ids that are named when the beginning of one means several.
pub const IDS_NAMED: usize = 3;

/// A delivery that a person wants tried again is tried for so long at least.
pub const DELIVERY_RETRY_VALID: Duration = Duration::from_hours(6);

/// `notify test` waits so long for the outcome: an attempt, a retry and some.
pub const NOTIFY_TEST_WAIT: Duration = Duration::from_secs(45);

/// The body of one notification to `inbox`.
pub const INBOX_BODY_BYTES: usize = 1024 * 1024;

/// Connections to `inbox`: more than any dispatcher has workers.
pub const INBOX_CONNECTIONS: usize = 32;

const _: () = assert!(CONSOLE_LINE_BYTES < CONTROL_BODY_BYTES);
const _: () = assert!(CONTROL_LONG < CONTROL_CONNECTIONS);
const _: () = assert!(CONTROL_COMMANDS >= CONTROL_CONNECTIONS + HTTP_CONNECTIONS);
const _: () = assert!(HTTP_CONNECTIONS <= CONTROL_CONNECTIONS);
const _: () = assert!(INBOX_CONNECTIONS <= CONTROL_CONNECTIONS);
const _: () = assert!(CONTROL_SLICE.as_nanos() < CONTROL_STOP_GRACE.as_nanos());
const _: () = assert!(DELIVERY_WAIT.as_nanos() < CLIENT_TIMEOUT.as_nanos());

// history.

/// Ends of runs whose spacing is looked at; a crash loop makes a thousand an hour, and the latest tell enough.
pub const PATTERN_POINTS: usize = 500;

/// Fewer ends have no pattern.
pub const PATTERN_LEAST: usize = 3;

/// Fewer ends are not called periodic: their gaps are alike by chance too easily.
pub const PATTERN_PERIODIC_LEAST: usize = 4;

/// No period is shorter; what comes more often is a loop.
pub const PATTERN_PERIOD_MIN: Duration = Duration::from_secs(30);

/// Ends no further apart than this are close together.
pub const PATTERN_SHORT_GAP: Duration = Duration::from_mins(5);

/// Ends at least this far apart have little to do with each other.
pub const PATTERN_LONG_GAP: Duration = Duration::from_hours(1);

/// A run no longer than this ended soon after its start, whatever the pause before it was.
pub const PATTERN_SHORT_RUN: Duration = Duration::from_secs(30);

/// Ends that `explain` tells when nobody says how many.
pub const EXPLAIN_DEFAULT: usize = 5;

/// Ends that `explain` tells of all chosen instances together: each takes up to 5 KiB.
pub const EXPLAIN_ENDS: usize = 5_000;

/// Events read for each end that is told: its start, what came before it, its stop, what followed.
pub const EXPLAIN_EVENTS_PER_END: usize = 12;

/// Starts and ends of the supervisor that are set beside the ends of a program.
pub const EXPLAIN_SUPERVISORS: usize = 500;

/// Ends of an instance whose last lines are looked for in its files, 64 KiB of two files each.
pub const EXPLAIN_TAILS: usize = 20;

/// Of what went before an end so many facts are told, the latest.
pub const EXPLAIN_BEFORE: usize = 5;

const _: () = assert!(PATTERN_LEAST <= PATTERN_PERIODIC_LEAST);
const _: () = assert!(PATTERN_PERIODIC_LEAST < PATTERN_POINTS);
const _: () = assert!(EXPLAIN_ENDS * EXPLAIN_EVENTS_PER_END <= STORE_READ_ROWS);

// logs.

/// What the kernel gives a pipe.
pub const PIPE_BYTES: usize = 64 << 10;
/// What a pipe grows to once it was seen full: 200 MB/s at one visit each [`PUMP_NAP`].
pub const PIPE_BYTES_GROWN: usize = 1 << 20;
/// Growth of all pipes together; a user without privileges has 64 MiB in all.
pub const PIPE_GROWTH_MAX: usize = 32 << 20;
/// The pump's rest between two visits of busy pipes: batching costs 20 times less than a wake-up a line.
pub const PUMP_NAP: Duration = Duration::from_millis(5);
/// Messages to the pump that may wait: two a run, for 2,000 runs at once. What does not fit is found by
/// looking into the folder of pipes.
pub const PUMP_INBOX: usize = 4_096;
/// An answer that is waited for, or a wake-up: a second one would say the same.
pub const LOG_ANSWER: usize = 1;
/// Ready pipes handled between two looks at the inbox.
pub const PUMP_EVENTS: usize = 256;
/// What is read at most from a pipe whose run is over while a stranger goes on writing into it.
pub const PUMP_LAST_WORDS: usize = 4 << 20;
/// What the pump has for its end however late it is, so that the holder hears the goodbye.
pub const PUMP_FINISH_LEAST: Duration = Duration::from_millis(500);
/// Output kept in memory, of all programs together, while the log disk takes nothing.
pub const SPILL_BYTES: usize = 8 << 20;
/// How often a log disk that failed is tried again.
pub const LOG_DISK_RETRY: Duration = Duration::from_secs(1);
/// Lost output is reported at most this often.
pub const LOG_DROPS_EVERY: Duration = Duration::from_secs(10);
/// An index entry after this much time, or after [`INDEX_BYTES`].
pub const INDEX_EVERY: Duration = Duration::from_millis(250);
/// An index entry after this many bytes: 48 bytes of index for 64 KiB of output.
pub const INDEX_BYTES: u64 = 64 << 10;
/// How far back a run's beginning is looked for in the index.
pub const INDEX_LOOK_BACK_BYTES: u64 = 192 << 10;
/// The least that a file of output may be bound to.
pub const LOG_SIZE_LEAST: u64 = 4 << 10;
/// The most.
pub const LOG_SIZE_MOST: u64 = 1 << 40;
/// Older files of one stream that may be kept.
pub const LOG_KEEP_MAX: i64 = 10_000;
/// A file that is full goes on for so much more at the most, until a line ends.
pub const LOG_TURN_SLACK: u64 = 256 << 10;
/// A file that could not be put aside is tried again after this.
pub const LOG_TURN_RETRY: Duration = Duration::from_secs(5);
/// Streams that wait for their older files to be looked after; what does not fit is found by the next look at all.
pub const LOG_PACK_QUEUE: usize = 1_024;
/// How hard compression tries: text to a tenth at some hundred megabytes a second.
pub const LOG_PACK_LEVEL: i32 = 3;
/// Looks at a folder whose names change meanwhile.
pub const LOG_LOOKS: usize = 5;
/// Entries of an index that are read at once.
pub const INDEX_BLOCK: usize = 1_024;
/// What `logs` reads of a segment at once, and of its end first when only the last lines are wanted.
pub const LOGS_CHUNK_BYTES: usize = 64 << 10;
/// By so much more is read of the end when the lines were not enough.
pub const LOGS_WIDEN: u64 = 8;
/// Lines that `logs -f` shows of what was before.
pub const LOGS_BACKLOG: usize = 20;
/// What is read of a segment for its last lines.
pub const TAIL_BYTES: u64 = 64 << 10;
/// Characters of one of the last lines.
pub const TAIL_LINE_CHARS: usize = 500;
/// How long the last lines wait at most for the pump.
pub const TAIL_WAIT_MAX: Duration = Duration::from_millis(200);
/// A longer line is treated as several.
pub const LOG_LINE_BYTES: usize = 16 << 10;
/// What a compiled pattern may need.
pub const PATTERN_BYTES: usize = 1 << 20;
/// Words to the thread that looks for lines: every instance may begin and end while it looks away.
pub const LINES_INBOX: usize = 16_384;
/// Its rest between two looks: a start that waits for a line waits no longer than this besides.
pub const LINES_NAP: Duration = Duration::from_millis(20);
/// Read of one stream in one pass of it.
pub const LINES_CHUNK_BYTES: usize = 256 << 10;
/// The scanner's rest between two looks: records are for the database, not for the eye.
pub const SCAN_NAP: Duration = Duration::from_millis(100);
/// A batch the sink refused is offered again after this.
pub const SCAN_RETRY: Duration = Duration::from_millis(250);
/// Read of one file in one pass of the scanner.
pub const SCAN_CHUNK_BYTES: usize = 1 << 20;
/// Files whose chunks are in memory at once.
pub const SCAN_FILES: usize = 8;
/// From here a pass is more than 10 ms of work, and worth several threads.
pub const SCAN_PARALLEL_BYTES: usize = 2 << 20;
/// Threads of the scanner's pool, which exists only while there is a backlog.
pub const SCAN_POOL: usize = 4;
/// How long a reader of segments may take to notice that its time is over: a pass of the scanner.
pub const LOG_READERS_GRACE: Duration = Duration::from_secs(1);
/// Records in one transaction.
pub const RECORD_BATCH: usize = 50;
/// A record waits at most this long for company.
pub const RECORD_EVERY: Duration = Duration::from_secs(5);
/// Bytes without a record after which a cursor is stored for its own sake.
pub const CURSOR_BYTES: u64 = 1 << 20;
/// What the terminal may be behind a program; more is skipped, and said.
pub const PRINT_BEHIND_BYTES: u64 = 1 << 20;
/// How long the printer waits for a full terminal before it looks whether it is the end.
pub const PRINT_ROOM: Duration = Duration::from_millis(250);
/// How long a terminal that takes nothing is waited for at the end.
pub const PRINT_LAST: Duration = Duration::from_secs(1);
/// An unfinished line is shown after this.
pub const PRINT_PARTIAL: Duration = Duration::from_secs(1);
/// `attach` shows an unfinished line after this: it is a prompt that somebody waits for.
pub const ATTACH_PARTIAL: Duration = Duration::from_millis(200);
/// How often `attach` looks at the files where the kernel may not tell that they grew.
pub const ATTACH_LOOK: Duration = Duration::from_millis(250);
/// The same, after a key was pressed: somebody waits for its echo.
pub const ATTACH_ECHO_LOOK: Duration = Duration::from_millis(20);
/// Looks after a key before the usual ones are enough again: a second.
pub const ATTACH_ECHO_LOOKS: u32 = 50;
/// How long `attach` waits for what a program that has ended wrote last.
pub const ATTACH_LAST_WORDS: Duration = Duration::from_secs(2);
/// Lines that `attach` shows of what was before it.
pub const ATTACH_BACKLOG: usize = 20;
/// What waits for the one thread of `attach` that shows and sends: typed lines, events and signs of growth.
pub const ATTACH_INBOX: usize = 64;
/// Changes of files that are read at once from inotify; one takes 16 bytes and a short name.
pub const INOTIFY_BYTES: usize = 4_096;
/// Width that names are padded to; longer ones stick out.
pub const PRINT_NAME_WIDTH: usize = 20;
/// A message between supervisor and holder: a tag and the name of a pipe.
pub const HOLDER_MESSAGE_BYTES: usize = 256;
/// Messages that may wait for a holder that does not read.
pub const HOLDER_QUEUE: usize = 8_192;
/// Descriptors that a holder needs besides its pipes: sockets, its lock, folders.
pub const HOLDER_FILES_BASE: u64 = 64;
/// Descriptors of a pipe while the holder pumps: itself, the terminal behind it, the segment and its index.
pub const HOLDER_FILES_PER_PIPE: u64 = 4;
/// How long a holder may take to hand over, each message.
pub const HANDOVER_MAX: Duration = Duration::from_secs(3);
/// How long a holder tries to become the pump before it believes that another one is.
pub const HOLDER_LOCK_WAIT: Duration = Duration::from_secs(10);
/// Rest between two tries for the pump's lock, which the kernel frees with the process that had it.
pub const PUMP_LOCK_RETRY: Duration = Duration::from_millis(20);
/// How often an orphaned holder looks whether its state directory is still there.
pub const HOLDER_LOOK: Duration = Duration::from_secs(5);

const _: () = assert!(PIPE_BYTES_GROWN > PIPE_BYTES && PIPE_GROWTH_MAX >= PIPE_BYTES_GROWN);
const _: () = assert!(LOG_LINE_BYTES < SCAN_CHUNK_BYTES);
const _: () = assert!((LOG_LINE_BYTES as u64) < TAIL_BYTES);

// probe.

/// Threads that check, however many probes there are.
pub const PROBE_WORKERS: usize = 8;

/// Of these, those that may be at what was not answered quickly the last time, or was never checked.
pub const PROBE_WORKERS_UNPROVEN: usize = 6;

/// And of these, those that may be at what was slow the last time.
pub const PROBE_WORKERS_SLOW: usize = 3;

/// A check that took no longer was quick.
pub const PROBE_QUICK: Duration = Duration::from_millis(250);

/// The first pause between two checks of what has never passed; doubled up to its interval.
pub const PROBE_EAGER: Duration = Duration::from_millis(100);

/// The longest check.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// The shortest interval of a probe.
pub const PROBE_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Words to the thread that schedules checks: every instance may begin and end while it looks away.
pub const PROBE_INBOX: usize = 16_384;

/// Characters of a command's last line in the reason why a check failed.
pub const PROBE_CAUSE_CHARS: usize = 120;

const _: () = assert!(PROBE_WORKERS_SLOW < PROBE_WORKERS_UNPROVEN);
const _: () = assert!(PROBE_WORKERS_UNPROVEN < PROBE_WORKERS);
const _: () = assert!(PROBE_TIMEOUT_MAX.as_secs() <= ATTEMPT_MAX.as_secs());
const _: () = assert!(PROBE_INBOX >= 4 * INSTANCES_MAX);

/// From the first look at a run that seems to have stalled to the second, which is believed.
pub const SILENCE_DOUBT: Duration = Duration::from_millis(250);

/// Bytes of a message on a notify socket; a longer one says nothing.
pub const NOTIFY_BYTES: usize = 4096;

/// Messages of one run that are heard before it is the turn of others.
pub const NOTIFY_MESSAGES: usize = 64;

/// What a program says of itself is shown no longer than this.
pub const NOTIFY_STATUS_CHARS: usize = 200;

/// A program cannot ask for more time at once.
pub const NOTIFY_EXTEND_MAX: Duration = Duration::from_hours(1);

// metrics and procfs.

/// Bytes of `/proc/PID/stat` that are read: 52 numbers of at most 20 digits and a name of at most 64 bytes.
pub const PROC_STAT_BYTES: usize = 2048;

/// Bytes of `/proc` entries asked of the kernel at once: about 1,000 processes a call.
pub const PROC_DIR_BYTES: usize = 32 * 1024;

/// Bytes of a process's environment that are searched for its mark. Arguments and environment may be 2 MiB
/// together; the mark of a program with more than half of that is not found, its descent still is.
pub const ENVIRON_BYTES: u64 = 1024 * 1024;

/// Bytes read of a small text file under `/proc`; 64 KiB of `children` name about 8,000 processes.
pub const PROC_TEXT_BYTES: u64 = 64 * 1024;

/// Bytes read of each of the kernel's tables of sockets, 150 a line: 28,000 sockets. Listening ones come first.
pub const PORT_TABLE_BYTES: u64 = 4 << 20;

/// Sockets on the ports in question that are looked at.
pub const PORT_SOCKETS: usize = 64;

/// Descriptors looked at for the one that holds a port: 500 programs with 200 each.
pub const PORT_LINKS: usize = 100_000;

/// Processes that share a port's socket: a server's workers. More tell nothing new.
pub const PORT_HOLDERS: usize = 64;

/// Records of the kernel's log that are read for one end.
pub const KMSG_RECORDS: usize = 20_000;

/// One record of the kernel's log; the kernel's own bound.
pub const KMSG_RECORD_BYTES: usize = 8 * 1024;

/// Bytes of `/proc/PID/io` that are read: seven numbers of at most 20 digits with their names.
pub const PROC_IO_BYTES: usize = 512;

/// Messages on their way to the keeper of the sampling threads: each of 500 instances may be watched and
/// let go of several times before it gets a turn. What finds no room is counted, never waited for.
pub const METRICS_INBOX: usize = 8192;

/// Sampling threads, one an interval in use. More intervals share the nearest thread there is.
pub const SAMPLE_THREADS: usize = 8;

/// The shortest sampling interval: CPU time is counted in ticks of 10 ms.
pub const SAMPLE_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The longest sampling interval; its thread's name still fits.
pub const SAMPLE_INTERVAL_MAX: Duration = Duration::from_hours(24);

/// Samples of an instance kept in memory, 80 bytes each: more than two minutes at the default interval of 5 s,
/// and 1.3 MB for 500 instances. A power of two, as rings grow to one. What is older is in the database.
pub const SAMPLE_RING: usize = 32;

/// Instances nobody watches whose samples are kept in memory all the same; the oldest goes first.
pub const SAMPLE_RINGS_KEPT: usize = 256;

/// Ended runs whose peak memory can still be asked for: 500 instances that crash twice at once.
pub const SAMPLE_PEAKS_KEPT: usize = 1024;

/// The share of our open file limit that sampling may keep open is one in this many.
pub const SAMPLE_FILES_SHARE: u64 = 4;

/// Files that sampling keeps open at most, whatever the limit: two for each of 4,096 instances.
pub const SAMPLE_FILES: usize = 8192;

/// After this many samplings that found nobody alive a run is let go of, should nobody have said that it
/// ended. More than one: a single torn scan must not end a watch.
pub const SAMPLE_EMPTY_ROUNDS: u8 = 3;

/// How long the keeper waits before it tries again to start a thread the system had no room for.
pub const SAMPLE_SPAWN_RETRY: Duration = Duration::from_secs(1);

/// How long sampling may take to end when nobody finished it in order.
pub const SAMPLE_DROP_PATIENCE: Duration = Duration::from_secs(1);

// notify and fetch.

/// One delivery attempt never takes longer, whatever is configured.
pub const ATTEMPT_MAX: Duration = Duration::from_mins(2);
/// Opening a connection, TLS included. A host that has not answered by then is down; three lost SYN packets
/// (1 s, 2 s, 4 s) still fit.
pub const CONNECT_MAX: Duration = Duration::from_secs(8);
/// Waiting for a name. The system's own resolver tries its next server after 5 s.
pub const RESOLVE_MAX: Duration = Duration::from_secs(6);
/// Names waiting for the resolver's thread: more than there can be workers.
pub const RESOLVER_QUEUE: usize = 64;
/// Names kept: more than a configuration has hosts.
pub const RESOLVER_CACHE: usize = 256;
/// How long a name's addresses are kept: short enough for a host that moves, long enough for a burst.
pub const RESOLVER_TTL: Duration = Duration::from_secs(30);
/// Addresses of one host; as many as ureq's own list holds.
pub const RESOLVER_ADDRESSES: usize = 16;
/// How long an ended client waits for its resolver's thread before it leaves it behind.
pub const RESOLVER_END_MAX: Duration = Duration::from_millis(500);
/// A channel that carries exactly one reply.
pub const REPLY: usize = 1;
/// Each of a connection's two buffers, with TLS twice that: the largest request is a few of them.
pub const FETCH_BUFFER: usize = 16 * 1024;
/// Idle connections kept in all: about one for each target of a large configuration.
pub const FETCH_IDLE_MAX: usize = 16;
/// Idle connections kept to one host: one for each of the default four workers.
pub const FETCH_IDLE_PER_HOST: usize = 4;
/// How long an idle connection is kept; many servers close theirs after 60 s, some after 15 s.
pub const FETCH_IDLE_AGE: Duration = Duration::from_secs(12);
/// The status line and headers of an answer; the buffer must hold them whole.
pub const RESPONSE_HEADERS_MAX: usize = 12 * 1024;
/// What is read of an answer's body. Providers answer with less than 4 KiB.
pub const RESPONSE_BODY_MAX: u64 = 64 * 1024;

/// Which failures of an incident a chat is told of, and which of the incidents that come one soon after the other.
pub const DAMPED_COUNTS: [u32; 4] = [1, 2, 5, 12];
/// Between those a chat hears a word again after this silence,
pub const DAMPED_QUICKLY: Duration = Duration::from_mins(15);
/// until it has been told so often,
pub const DAMPED_TIMES: u32 = 8;
/// and then after this one.
pub const DAMPED_SLOWLY: Duration = Duration::from_hours(1);
/// An incident that opens so soon after one of its kind recovered is a relapse: it flaps.
pub const FLAP_WINDOW: Duration = Duration::from_mins(10);
/// A relapse that chats are not told of at once is told when it is still open after this: more than a usual backoff
/// and the wait for recovery.
pub const FLAP_HOLD: Duration = Duration::from_mins(1);
/// What an earlier supervisor saw and this one has not seen again for this long is over: longer than probes take to
/// fail, and most rules.
pub const CONDITION_DOUBT: Duration = Duration::from_mins(5);
/// Silences in force at a time.
pub const SILENCES_MAX: usize = 256;
/// The shortest and the longest silence.
pub const SILENCE_MIN: Duration = Duration::from_secs(1);
/// See [`SILENCE_MIN`]: what is silenced for longer is forgotten.
pub const SILENCE_MAX: Duration = Duration::from_hours(24 * 31);
/// A reason, in bytes.
pub const SILENCE_REASON_BYTES: usize = 500;
/// Names in one silence.
pub const SILENCE_NAMES: usize = 64;
/// Instances of which a silence counts what happened, for each target.
pub const SILENCE_TALLIES: usize = 64;
/// What a silence holds back goes by itself so long after its end, should nobody have ended it.
pub const SILENCE_GRACE: Duration = Duration::from_secs(5);
/// While a silence is in force the wall clock is looked at so often: it may be set.
pub const SILENCE_LOOK: Duration = Duration::from_mins(1);
/// How long who asks for a silence waits until it is stored.
pub const SILENCE_STORED: Duration = Duration::from_secs(5);
/// `[[maintenance]]` tables: each is a silence at times, and there are as many for people.
pub const MAINTENANCE_MAX: usize = SILENCES_MAX / 2;
/// How long people's first word about an incident waits for others, where a route does not say.
pub const GROUP_WAIT_CHAT: Duration = Duration::from_secs(2);
/// The longest such wait: what is urgent is not kept for longer.
pub const GROUP_WAIT_MAX: Duration = Duration::from_mins(5);
/// Incidents of one message, and events of one request.
pub const GROUP_MAX: usize = 200;
/// Of which so many are named in the message.
pub const GROUP_NAMED: usize = 10;
/// In its title, of which one more is not worth leaving out.
pub const GROUP_TITLE_NAMES: usize = 4;
/// Likely causes that are told.
pub const GROUP_CAUSES: usize = 3;
/// Programs that one depends on which are known of each.
pub const GROUP_NEEDS: usize = 64;
const _: () = assert!(GROUP_NAMED < GROUP_MAX);
const _: () = assert!(DAMPED_QUICKLY.as_secs() < DAMPED_SLOWLY.as_secs());
const _: () = assert!(FLAP_HOLD.as_secs() < FLAP_WINDOW.as_secs());

/// The shortest wait a target can ask for: an answer of "0" must not become a busy loop.
pub const HOLD_MIN: Duration = Duration::from_secs(1);
/// A 429 that states no wait.
pub const HOLD_DEFAULT: Duration = Duration::from_secs(30);
/// A ban at the edge of a provider's network: trying sooner makes it longer.
pub const HOLD_BANNED: Duration = Duration::from_mins(15);
/// The longest wait a target can ask for; past this its word is doubted and it is asked again.
pub const HOLD_MAX: Duration = Duration::from_hours(24);
/// One in so many tokens of a target's bucket is for critical messages alone; one at least, where there are three.
pub const RESERVED_SHARE: u32 = 5;
/// Deliveries that go to a fallback in one transaction; what is more goes with the next turn.
pub const FALLBACK_AT_ONCE: usize = 200;
/// How often it is looked whether deliveries were dropped.
pub const DROPPED_LOOK: Duration = Duration::from_secs(1);
/// That deliveries to a target were dropped is told no more often than this: telling it takes their room.
pub const DROPPED_TOLD_EVERY: Duration = Duration::from_mins(10);
/// Workers that send: each is a thread and at most one connection; a target never has more than one.
pub const NOTIFY_WORKERS_MAX: usize = 64;
/// Deliveries handed to the pool and not yet taken. At most one a target, so a hundred targets fit ten times.
pub const NOTIFY_QUEUE_MAX: usize = 1_024;
/// Messages to the dispatcher: one from each worker, one wake-up, and room for people.
pub const NOTIFY_INBOX: usize = NOTIFY_WORKERS_MAX + 64;
/// How long a message to the dispatcher may wait for room; it takes its messages within a commit's time.
pub const NOTIFY_SEND_MAX: Duration = Duration::from_secs(2);
/// How long the threads of the pool may take to end after the last pass; more than a commit, less than an attempt.
pub const NOTIFY_END_MAX: Duration = Duration::from_secs(1);
/// Without a wake-up the outbox is looked at this often, for rows that somebody else has put there.
pub const OUTBOX_SWEEP: Duration = Duration::from_secs(30);
/// After a fault of the outbox it is left alone this long.
pub const OUTBOX_RETRY: Duration = Duration::from_millis(500);
/// Deliveries that are looked at, at a time, to be told together.
pub const OUTBOX_TOGETHER: usize = 1_000;
/// Characters of the name of a topic or thread, which a provider may cut further.
pub const PLACE_NAME: usize = 100;
/// The dispatcher's shortest wait: timers are no finer than this.
pub const DISPATCH_TICK_MIN: Duration = Duration::from_millis(1);
/// How soon a row is looked at again that is due but was not leased: an earlier one of its incident holds it, and
/// the end of that one wakes the dispatcher anyway.
pub const DISPATCH_RECHECK: Duration = Duration::from_millis(250);
/// Why an attempt failed, the target's own words included, in characters.
pub const REASON_MAX: usize = 200;
/// Lines of output in a message for people; more is what `logs` is for.
pub const MESSAGE_TAIL_LINES: usize = 15;
/// One of those lines, in UTF-16 units.
pub const MESSAGE_TAIL_LINE: usize = 300;
/// A message's title, in UTF-16 units.
pub const MESSAGE_TITLE: usize = 240;
/// A fact's label, in UTF-16 units.
pub const MESSAGE_LABEL: usize = 28;
/// Failures of one incident from which on its message calls it a crash loop.
pub const MESSAGE_LOOP: u32 = 3;
/// A next start nearer than this is told as a pause, not as a moment: it has passed when people read it.
pub const MESSAGE_MOMENT_MIN: f64 = 5.0;
/// One fact's value, in UTF-16 units.
pub const MESSAGE_VALUE: usize = 200;
/// Output in a generic webhook's body; receivers commonly take 20 KB in all.
pub const WEBHOOK_TAIL_BYTES: usize = 12 * 1024;
/// Discord: 256 characters of an embed's title.
pub const DISCORD_TITLE: usize = 256;
/// Discord: 25 fields; these are fewer, for the sum.
pub const DISCORD_FIELDS: usize = 13;
/// Discord: 1024 characters of a field's value; less, for the sum.
pub const DISCORD_VALUE: usize = 250;
/// Discord: 4096 characters of a description; less, for the sum. The fence adds 8.
pub const DISCORD_TAIL: usize = 1_800;
/// Discord: 2000 characters of a plain message: this of text, and
pub const DISCORD_PLAIN: usize = 1_200;
/// this of output.
pub const DISCORD_PLAIN_TAIL: usize = 700;
/// Slack: 150 characters of a header block.
pub const SLACK_HEADER: usize = 150;
/// Slack: 40,000 characters of text, of which it recommends to use 4,000.
pub const SLACK_TEXT: usize = 3_900;
/// Slack: about 13,200 characters of all blocks together, 3,000 of one.
pub const SLACK_TAIL: usize = 2_900;
/// Slack's words of refusal are short: `channel_is_archived`.
pub const SLACK_WORD: usize = 64;
/// Telegram: 4096 UTF-16 units of text.
pub const TELEGRAM_TEXT: usize = 4_096;
/// Telegram: long messages are limited sooner.
pub const TELEGRAM_TAIL: usize = 2_500;
/// PagerDuty: 1024 characters of a summary.
pub const PAGERDUTY_SUMMARY: usize = 1_024;
/// Alertmanager: firing alerts are taken for resolved after so many intervals without being told again.
pub const ALERT_TELLINGS_MISSED: u32 = 4;
/// Alertmanager: clients say "resolved" for five minutes, in case it was restarted meanwhile.
pub const ALERT_RESOLVED_SAID: Duration = Duration::from_mins(5);
/// The longest interval between two tellings of the same alert.
pub const ALERT_RESEND_MAX: Duration = Duration::from_hours(1);
/// How long a target may be away before what was kept up there is given up.
pub const STANDING_AGE: Duration = Duration::from_hours(48);

// Chats whose messages are sent by a token or a webhook, and phones.

/// ntfy: 4096 bytes of a message, more becomes an attachment; counted as JSON, and less, for the push services behind it.
pub const NTFY_MESSAGE: usize = 3_500;
/// ntfy: a title is one line of a notification; servers that limit it take 1024 bytes and more.
pub const NTFY_TITLE: usize = 500;
/// ntfy: a body of JSON may have twice the bytes of a message.
pub const NTFY_BODY: usize = 8_192 - 256;
/// ntfy: a used-up rate fills by one request every five seconds.
pub const NTFY_WAIT: Duration = Duration::from_secs(10);
/// Mattermost: 16,383 characters of a post, 4,000 on old servers: this in bytes of title and facts, and
pub const MATTERMOST_TEXT: usize = 2_000;
/// this in UTF-16 units of output.
pub const MATTERMOST_TAIL: usize = 1_500;
/// Google Chat: 32,000 bytes of a message with its cards; the address of its thread comes to it.
pub const GOOGLE_CHAT_BODY: usize = 30_000;
/// Google Chat: output, in UTF-16 units; an escaped sign is five bytes.
pub const GOOGLE_CHAT_TAIL: usize = 2_500;
/// Teams: 28 KiB of a message, counted when the workflow has made more of it: a fifth more was seen.
pub const TEAMS_BODY: usize = 20_000;
/// Teams: output of a card, in UTF-16 units.
pub const TEAMS_TAIL: usize = 2_000;
/// Teams: a plain message, in bytes.
pub const TEAMS_TEXT: usize = 6_000;
/// Matrix: 65,536 bytes of an event, with what the homeserver adds to it.
pub const MATRIX_EVENT: usize = 60_000;
/// Matrix: the text for those who show no HTML, in bytes.
pub const MATRIX_TEXT: usize = 8_000;
/// Matrix: output, in UTF-16 units.
pub const MATRIX_TAIL: usize = 2_500;
/// Gotify has no limit of its own; this is what a phone shows, in bytes.
pub const GOTIFY_TEXT: usize = 8_000;
/// Pushover: 1024 characters of a message,
pub const PUSHOVER_MESSAGE: usize = 1_024;
/// and 250 of a title.
pub const PUSHOVER_TITLE: usize = 250;

const _: () = assert!(NTFY_MESSAGE + NTFY_TITLE + 256 <= NTFY_BODY && NTFY_MESSAGE <= 4_096);

// Discord counts all text of an embed together, labels included.
const _: () = assert!(
    DISCORD_TITLE
        + DISCORD_TAIL
        + 8
        + MESSAGE_VALUE
        + DISCORD_FIELDS * (DISCORD_VALUE + MESSAGE_LABEL)
        <= 6_000
);
const _: () = assert!(DISCORD_PLAIN + DISCORD_PLAIN_TAIL + 9 <= 2_000);
const _: () = assert!(RESPONSE_HEADERS_MAX < FETCH_BUFFER);
const _: () = assert!(CONNECT_MAX.as_millis() < ATTEMPT_MAX.as_millis());
const _: () = assert!(RESOLVE_MAX.as_millis() < ATTEMPT_MAX.as_millis());

// shutdown, signals and terminal.

/// Urgency rises twice at most, so telling it never blocks.
pub const URGENCY_RISES: usize = 2;

/// How often the shutdown says whom it waits for.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Names in one line of progress; the rest is a number.
pub const PROGRESS_NAMES: usize = 5;

/// Messages from the signals thread that wait for the app. A burst of HUP or TSTP cannot fill it:
/// `SIGNAL_RESERVE` places are kept for the three that end the supervisor.
pub const SIGNAL_QUEUE: usize = 16;

/// See [`SIGNAL_QUEUE`].
pub const SIGNAL_RESERVE: usize = 3;

/// From the third signal to the end of the process, whatever hangs: time to say what is left.
pub const EXIT_GRACE: Duration = Duration::from_secs(2);

/// Lines that wait for one of the two terminal streams.
pub const TERMINAL_LINES: usize = 4_096;

/// Bytes that wait for one of the two terminal streams.
pub const TERMINAL_BYTES: usize = 1 << 20;

/// The longest line shown; what is longer is cut.
pub const TERMINAL_LINE_BYTES: usize = 16 << 10;

/// Lines are gathered up to here into one write.
pub const TERMINAL_BATCH_BYTES: usize = 64 << 10;

/// The same log record more often than this in a window is counted and not shown.
pub const REPEATS_SHOWN: u32 = 5;

/// See [`REPEATS_SHOWN`].
pub const REPEATS_WINDOW: Duration = Duration::from_secs(10);

/// Different log records watched for repeats at once.
pub const REPEATS_WATCHED: usize = 256;

const _: () = assert!(SIGNAL_RESERVE < SIGNAL_QUEUE);
const _: () = assert!(TERMINAL_LINE_BYTES <= TERMINAL_BATCH_BYTES);
const _: () = assert!(TERMINAL_BATCH_BYTES <= TERMINAL_BYTES);

// store.

/// Records kept in memory while the database cannot be written. 500 programs that crash every second fill it
/// in half a minute; at a usual pace it lasts for days.
pub const STORE_WRITES_MAX: usize = 16_384;

/// Memory those records may take: log tails make some of them large.
pub const STORE_WRITES_BYTES: usize = 32 * 1024 * 1024;

/// Records a transaction. A larger one would keep the write lock, and who waits for an answer, too long.
pub const STORE_WRITES_PER_COMMIT: usize = 512;

/// A lock whose holder is dead is free within this long: what holds it is a child on its way to exec.
pub const STORE_LOCK_WAIT: Duration = Duration::from_secs(3);

/// How often such a lock is looked at.
pub const STORE_LOCK_LOOK: Duration = Duration::from_millis(10);

/// Calls that wait for the writer. Their callers are few and wait, so it is never near full.
pub const STORE_JOBS_MAX: usize = 256;

/// A reply channel has room for its one answer, so the writer never waits for the caller.
pub const STORE_REPLY: usize = 1;

/// A lease is handed over hand to hand, so that one whose caller has gone is known to be stranded.
pub const STORE_HANDOVER: usize = 0;

/// How long the writer holds out a lease: the caller is already waiting, or gone.
pub const STORE_HANDOVER_WAIT: Duration = Duration::from_millis(100);

/// A caller waits this long for the commit, then tries again later.
pub const STORE_REPLY_WAIT: Duration = Duration::from_secs(5);

/// The writer waits this long for another process's lock before it lets go and serves its inbox.
pub const STORE_BUSY_WAIT: Duration = Duration::from_millis(500);

/// Locked for this long is no longer a passing backup but a fault worth telling.
pub const STORE_BUSY_GRACE: Duration = Duration::from_secs(5);

/// A reader waits this long for a connection, and as long for a lock.
pub const STORE_READ_WAIT: Duration = Duration::from_millis(800);

/// The last handle to go flushes and joins the writer for at most so long each; `close` is the orderly way.
pub const STORE_DROP_WAIT: Duration = Duration::from_secs(2);

/// The first pause after a failed write.
pub const STORE_RETRY_FIRST: Duration = Duration::from_millis(50);

/// No pause is longer, so a disk with room again is noticed well within 15 s.
pub const STORE_RETRY_MAX: Duration = Duration::from_secs(2);

/// Samples that wait; 500 programs every 5 s fill it in three minutes of a full disk.
pub const STORE_SAMPLES_MAX: usize = 20_000;

/// This many samples are written at once.
pub const STORE_SAMPLES_BATCH: usize = 500;

/// Samples wait no longer than this.
pub const STORE_SAMPLES_WAIT: Duration = Duration::from_secs(5);

/// Log records that wait.
pub const STORE_LOGS_MAX: usize = 10_000;

/// This many log records are written at once.
pub const STORE_LOGS_BATCH: usize = 50;

/// Log records wait no longer than this.
pub const STORE_LOGS_WAIT: Duration = Duration::from_secs(5);

/// No transaction takes more of the queue, the batch that reaches it excepted.
pub const STORE_ROWS_PER_COMMIT: usize = 2_000;

/// Checkpoint batches written at a time, and as many waiting make it start at once.
pub const CHECKPOINT_BATCHES: usize = 10;

/// Keys that may wait for a checkpoint: a few for each of ten thousand instances.
pub const CHECKPOINT_KEYS_MAX: usize = 50_000;

/// Prepared statements a connection keeps; more than there are in the room.
pub const STORE_STATEMENTS: usize = 96;

/// Pages the writer keeps in memory. `SQLite`'s default of 2 MiB would be a tenth of what a supervisor of 500
/// programs takes; what is not kept comes from the kernel's own cache.
pub const STORE_WRITER_CACHE_KIB: i32 = 512;

/// Pages a reader keeps in memory; `SQLite`'s default of 2 MiB each would be half of what an idle supervisor takes.
pub const STORE_READER_CACHE_KIB: i32 = 512;

/// Threads that open and close readers.
pub const STORE_OPENERS: usize = 1;

/// A reader nobody needed for so long is closed: it holds up to [`STORE_READER_CACHE_KIB`].
pub const STORE_READER_IDLE: Duration = Duration::from_secs(30);

/// After an unclean end a database up to this size is checked page by page: about 0.2 s a 64 MiB. A larger
/// one is found out by reading it.
pub const STORE_CHECK_BYTES: u64 = 64 * 1024 * 1024;

/// The `-wal` file is cut back to this after a burst.
pub const STORE_WAL_BYTES: u32 = 16 * 1024 * 1024;

/// Rows read at once, whatever is asked for; a caller pages on.
pub const STORE_READ_ROWS: usize = 100_000;

/// Rows a bite of retention deletes: a few milliseconds, between two records.
pub const RETENTION_BITE: usize = 1_000;

/// Pages a bite gives back to the file system.
pub const RETENTION_PAGES: u32 = 256;

/// From a look for old rows that found none to the next.
pub const RETENTION_PAUSE: Duration = Duration::from_mins(10);

/// Log records are kept this long: they serve forwarding and searching of what is recent.
pub const RETENTION_LOGS: Duration = Duration::from_hours(7 * 24);

/// Attempts, and deliveries that are over, are kept this long.
pub const RETENTION_DELIVERIES: Duration = Duration::from_hours(30 * 24);

/// Events, resolved incidents and ended runs are kept this long.
pub const RETENTION_EVENTS: Duration = Duration::from_hours(90 * 24);

const _: () = assert!(STORE_RETRY_FIRST.as_millis() < STORE_RETRY_MAX.as_millis());
const _: () = assert!(
    STORE_RETRY_MAX.as_secs() < 15,
    "recovery is promised within 15 s"
);
const _: () = assert!(STORE_READ_WAIT.as_millis() < 1_000);
const _: () = assert!(STORE_BUSY_WAIT.as_millis() < STORE_REPLY_WAIT.as_millis());
const _: () = assert!(
    STORE_LOGS_BATCH * 20 <= 1_000,
    "1,000 records cost at most 20 transactions"
);
const _: () = assert!(STORE_WRITES_PER_COMMIT <= STORE_WRITES_MAX);

/// The shortest interval between two signs of life.
pub const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A sign of life that was not taken is given again this soon, or at the next beat if that is earlier.
pub const HEARTBEAT_RETRY: Duration = Duration::from_secs(10);

/// How long supervision may take to answer before no sign of life is given for it.
pub const HEARTBEAT_ANSWER: Duration = Duration::from_secs(5);

/// How long the end waits for the heartbeat's thread.
pub const HEARTBEAT_END_MAX: Duration = Duration::from_millis(200);

/// Ways to addresses (proxies, authorities, rules) whose connections are kept.
pub const FETCH_WAYS: usize = 32;

/// The largest file of certificates.
pub const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// Incidents that `incidents` shows unless it is told otherwise.
pub const INCIDENTS_LISTED: usize = 20;

/// Events, deliveries and attempts that are shown of one incident.
pub const INCIDENT_SHOWN: usize = 2_000;
/// Pages copied at a step of a backup: 1 MiB, some 300 µs.
pub const BACKUP_PAGES: i32 = 256;

/// From one step of a backup to the next, so that a disk has time for others.
pub const BACKUP_PAUSE: Duration = Duration::from_millis(2);

/// What is packed at a step.
pub const BACKUP_CHUNK: usize = 1 << 20;

/// How hard copies are packed: zstd's default, some 300 MB a second.
pub const BACKUP_LEVEL: i32 = 3;

/// The first backup of a state directory waits so long, or as long as `store.backup.every` if that is shorter.
pub const BACKUP_FIRST: Duration = Duration::from_mins(10);

/// A backup that failed is tried again after so long, or after `store.backup.every` if that is shorter.
pub const BACKUP_RETRY: Duration = Duration::from_mins(15);

/// The shortest `store.backup.every`.
pub const BACKUP_EVERY_MIN: Duration = Duration::from_secs(1);

/// How long the end waits for a backup to break off.
pub const BACKUP_END_MAX: Duration = Duration::from_secs(2);
// import.

/// Values in one file of another supervisor, aliases counted as often as they are used.
pub const IMPORT_NODES: usize = 100_000;

/// Values within values there.
pub const IMPORT_DEPTH: usize = 64;

// The command line.

/// `status --watch` shows the figures anew this often when nothing happens.
pub const STATUS_WATCH: Duration = Duration::from_secs(1);

/// One word that something has happened is enough.
pub const STATUS_WAKES: usize = 1;
// Packed samples.

/// Rows of a chunk: an hour at ten a second.
pub const CHUNK_ROWS_MAX: usize = 40_000;

/// Figures of a chunk; a candle has eight columns for each.
pub const CHUNK_COLUMNS_MAX: usize = 2_048;

/// No chunk reaches further from its first row to its last, so that few are looked through for those of a time.
pub const CHUNK_SPAN_MAX: Duration = Duration::from_hours(24);

/// An hour is packed so long after its end: samples are written behind, later still on a full disk.
pub const PACK_LAG: Duration = Duration::from_mins(5);

/// Rows that are read to be packed at a time, about 8 MB; an hour of more becomes several chunks each.
pub const PACK_ROWS: usize = 50_000;

/// Samples of one run that are packed in one transaction: some 20 ms of the writer's time.
pub const PACK_ROWS_PER_COMMIT: usize = 2_000;

/// After a fault of the database, or without anything to pack, it is looked again so much later.
pub const PACK_RETRY: Duration = Duration::from_mins(10);

/// How long the end waits for the thread that packs.
pub const PACK_END_MAX: Duration = Duration::from_secs(2);

/// The lengths of candles in seconds.
pub const CANDLE_FRAMES: [i64; 5] = [60, 300, 900, 3_600, 86_400];

/// Candles of a minute are kept no longer: later nobody looks at a minute.
pub const CANDLES_MINUTE_KEPT: Duration = Duration::from_hours(60 * 24);

/// Candles of five minutes are kept no longer.
pub const CANDLES_FIVE_KEPT: Duration = Duration::from_hours(180 * 24);

/// Candles of a quarter of an hour are kept no longer.
pub const CANDLES_QUARTER_KEPT: Duration = Duration::from_hours(365 * 24);

/// Samples in rows are kept at least so long: by then they are packed.
pub const RAW_KEPT_MIN: Duration = Duration::from_hours(3);

/// Samples one answer gives; of more, candles are given.
pub const HISTORY_ROWS_MAX: usize = 50_000;

/// The longest stretch that is answered sample by sample without being asked for.
pub const HISTORY_FULL_MAX: Duration = Duration::from_hours(26);

/// Candles one answer gives where their length was left to us.
pub const HISTORY_CANDLES_MAX: i64 = 10_000;

/// Samples further apart than so many usual distances have a gap between them.
pub const HISTORY_GAP: f64 = 2.5;

/// Gaps that an answer names; the rest is in its ratio.
pub const HISTORY_GAPS_MAX: usize = 1_000;

/// Runs whose figures an answer sums up, the latest ones.
pub const HISTORY_RUNS: usize = 50;

const _: () = assert!(PACK_ROWS_PER_COMMIT <= CHUNK_ROWS_MAX && PACK_ROWS <= STORE_READ_ROWS);

/// What `metrics` shows when nothing is said.
pub const METRICS_RANGE: Duration = Duration::from_hours(1);

/// Columns of a plot where there is no terminal.
pub const METRICS_WIDTH: usize = 80;

/// Lines of a plot.
pub const METRICS_HEIGHT: usize = 6;

/// Runs that `metrics` sums up for people, the latest ones; `--json` has more.
pub const METRICS_RUNS_SHOWN: usize = 5;

// sd_notify.

/// Words that systemd was not told yet: a handful in a life, were it not for reloads.
pub const SD_WORDS: usize = 16;

/// How long a word may wait for room in systemd's socket.
pub const SD_SEND: Duration = Duration::from_secs(1);

/// Without a watchdog, how often the line of status is looked at.
pub const SD_STATUS_EVERY: Duration = Duration::from_secs(10);

/// How long the end waits for the last word.
pub const SD_END_MAX: Duration = Duration::from_secs(2);

const _: () = assert!(SD_SEND.as_millis() < SD_END_MAX.as_millis());

// doctor.

/// Less free room than this is worth a word.
pub const DOCTOR_DISK_BYTES: u64 = 256 << 20;

/// So is a smaller share of the disk.
pub const DOCTOR_DISK_PERCENT: u64 = 5;

/// Output of programs that takes more than this is worth a word.
pub const DOCTOR_LOG_BYTES: u64 = 10 << 30;

/// The last event may be this far ahead of the clock: clocks are set a little every day.
pub const DOCTOR_CLOCK_AHEAD_MS: i64 = 60_000;

/// How long who has a port is looked for.
pub const DOCTOR_PORT_LOOK: Duration = Duration::from_secs(2);

/// A process that is not older than the question by this much may be of a run that the answer does not know.
pub const DOCTOR_YOUNG: Duration = Duration::from_millis(100);

/// Targets that are connected to at once.
pub const DOCTOR_KNOCKS: usize = 32;

/// How long a connection may take.
pub const DOCTOR_CONNECT: Duration = Duration::from_secs(5);
// Forecasts.

/// No forecast from fewer points.
pub const FORECAST_POINTS_MIN: usize = 30;

/// More points are thinned to so many: 4,950 slopes between them.
pub const FORECAST_POINTS: usize = 100;

/// Nothing is told that lies further off than so many times what was seen.
pub const FORECAST_HORIZON: f64 = 10.0;

/// The ends of a slope's interval are no further apart than this.
pub const FORECAST_SPREAD: f64 = 3.0;

/// The interval of independent points is widened by this: samples are not independent.
pub const FORECAST_WIDEN: f64 = 2.0;

/// A trend moves a figure by so many times its usual distance from the line.
pub const FORECAST_CLEAR: f64 = 4.0;

/// Parts of a stretch that each go on with the trend.
pub const FORECAST_PARTS: u8 = 6;

/// By this share of what an even rise would.
pub const FORECAST_SHARE: f64 = 0.4;

/// Versions of a definition that stay.
pub const DEFINITION_VERSIONS: usize = 20;

/// Older versions of a definition go when another one comes.
pub const DEFINITION_AGE: Duration = Duration::from_hours(90 * 24);

/// The least room for a cache that is bounded by bytes; less is a slip of the pen.
pub const CACHE_BYTES_LEAST: u64 = 1024;
