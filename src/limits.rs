//! Every bound of the program, with the relations between them asserted at compile time.

use std::time::Duration;

/// The kernel shows this much of a thread's name.
pub const THREAD_NAME_BYTES: usize = 15;

// alert and journal.

/// Records that wait for the journal: 500 programs that crash at once give four each.
pub const JOURNAL_QUEUE: usize = 4_096;

/// Characters of a cause or a name in a summary: it is one line, also on a telephone.
pub const SUMMARY_PART_CHARS: usize = 200;

// child and supervise.

/// What is left after KILL is killed again this often: a process that forks while it is killed leaves a child.
pub const KILL_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Descriptors the supervisor needs besides its instances: database, sockets, deliveries, terminal.
pub const OPEN_FILES_BASE: u64 = 512;

/// Descriptors of one instance: a pidfd, two pipes, two segments with their index, three of the sampler.
pub const OPEN_FILES_PER_INSTANCE: u64 = 12;

/// Requests on their way to the supervision actor; each comes from a connection, of which there are fewer.
pub const SUPERVISOR_INBOX: usize = 256;

/// Ends of processes taken from the kernel in one round; more come in the next.
pub const EPOLL_EVENTS: usize = 256;

// config.

/// Files of one configuration, includes counted: more is a glob that went astray.
pub const CONFIG_FILES_MAX: usize = 512;
/// A configuration file or `env_file` is read up to this size: 500 programs take about 200 KiB.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
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
/// Sampling more often measures mostly itself.
pub const METRICS_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Threads that send notifications.
pub const NOTIFY_WORKERS_MAX: i64 = 64;
/// The value of one request header of a webhook.
pub const HEADER_VALUE_BYTES_MAX: usize = 4_096;
const _: () = assert!(PROGRAM_INSTANCES_MAX as usize <= INSTANCES_MAX);

// control and cli.

// logs.

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

/// Samples of an instance kept in memory, 80 bytes each: ten minutes at the default interval of 5 s, and
/// 4.8 MB for 500 instances.
pub const SAMPLE_RING: usize = 120;

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
