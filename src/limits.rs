//! Every limit, in one place. What a runbook, a file, a server or a person gives ends in a result or in one of these.
//!
//! The modules take their limits from here; `docs/language/limits.md` prints [`TABLE`], and a test compares the two. Where a limit is
//! reached there is an error with its place, or an unknown that says which limit it was; what is cut is marked as cut.

mod table;

use std::time::Duration;
pub use table::TABLE;

/// A file: a file, and every module it uses.
pub const FILE_BYTES: usize = 1024 * 1024;
/// A file: nesting of braces.
pub const BLOCK_DEPTH: usize = 64;
/// A file: nesting of brackets and parentheses.
pub const BRACKET_DEPTH: usize = 128;
/// A file: depth of one expression, chains of operators included.
pub const EXPRESSION_DEPTH: usize = 200;
/// A file: syntax errors shown for one file.
pub const SYNTAX_ERRORS: usize = 100;
/// A file: folders in folders in which `starr check` and `starr fmt` look for files.
pub const FOLDER_DEPTH: usize = 32;
/// A program: called runbooks.
pub const RUN_DEPTH: usize = 4;
/// A program: what library checks and actions become in one program.
pub const INLINED: usize = 10_000;
/// A program: library checks and actions that use each other.
pub const INLINE_DEPTH: usize = 16;
/// A program: modules that use each other.
pub const IMPORT_DEPTH: usize = 32;
/// A program: records in records.
pub const RECORD_DEPTH: usize = 64;
/// A program: records and lists written in place.
pub const TYPE_DEPTH: usize = 32;
/// A program: records and lists written in place.
pub const TYPE_PARTS: usize = 2_000;
/// A program: a compiled pattern of the file.
pub const FILE_PATTERN_BYTES: usize = 256 * 1024;
/// A program: elements of `N of {…}` in an example.
pub const GIVEN_ELEMENTS: i64 = 10_000;
/// A value: elements of a list that an operation works on.
pub const LIST_ELEMENTS: usize = 100_000;
/// A value: samples of series that an operation puts together.
pub const SERIES_SAMPLES: usize = 100_000;
/// A value: a text in which `contains` and `matches` look.
pub const SEARCHED_BYTES: usize = 4 * 1024 * 1024;
/// A value: a pattern that is compiled during a run.
pub const RUN_PATTERN_BYTES: usize = 1024 * 1024;
/// A value: nesting of a reply that is decoded.
pub const DECODE_DEPTH: usize = 64;
/// A value: a value of `--set`.
pub const SET_BYTES: usize = 64 * 1024;
/// A value: a text with values filled in.
pub const FILLED_BYTES: usize = 64 * 1024;
/// A value: comparisons shown as the evidence of one answer.
pub const EVIDENCE: usize = 50;
/// A run: steps begun, loops and called runbooks included.
pub const STEPS: u64 = 10_000;
/// A run: elements of an `each`, whatever `at most` says.
pub const EACH: usize = 10_000;
/// A run: elements of `any f(each xs)` and `all f(each xs)`, and calls with `each`.
pub const FAN_OUT: usize = 1_000;
/// A run: questions that are asked at the same time.
pub const CONCURRENT: usize = 16;
/// A run: retries where one unknown answer stands in the way of a cause.
pub const RETRIES: u32 = 20;
/// A run: questions that `run.evidence` lists.
pub const EVIDENCE_LINES: usize = 200;
/// A run: a line that a person types.
pub const ANSWER_BYTES: u64 = 4096;
/// A run: one entry of the journal.
pub const ENTRY_BYTES: usize = 64 * 1024 * 1024;
/// A run: one line of a recording (`--record`).
pub const RECORDING_LINE_BYTES: u64 = 16 * 1024 * 1024;
/// A run: a whole recording that is read.
pub const RECORDING_BYTES: u64 = 256 * 1024 * 1024;
/// Environment: a configuration file.
pub const CONFIGURATION_BYTES: u64 = 1024 * 1024;
/// Environment: a file with a secret.
pub const SECRET_BYTES: u64 = 64 * 1024;
/// Environment: a secret that is looked for in the output.
pub const SECRET_SHORTEST: usize = 6;
/// Environment: secrets that are looked for in the output.
pub const SECRETS: usize = 2_000;
/// Environment: a signature.
pub const SIGNATURE_BYTES: u64 = 64 * 1024;
/// Environment: a list of allowed signers.
pub const SIGNERS_BYTES: u64 = 1024 * 1024;
/// Environment: `starr.lock`.
pub const LOCK_BYTES: u64 = 1024 * 1024;
/// host: processes, and listeners, in one reply.
pub const HOST_PROCESSES: usize = 10_000;
/// host: processes, and listeners, in one reply.
pub const HOST_LISTENERS: usize = 10_000;
/// host: file systems in one reply.
pub const HOST_FILE_SYSTEMS: usize = 512;
/// host: failed units in one reply.
pub const HOST_UNITS: usize = 200;
/// host: one file system that does not answer.
pub const HOST_FILE_SYSTEM_WAIT: Duration = Duration::from_secs(5);
/// host: records of the kernel's log.
pub const HOST_LOG_RECORDS: usize = 200_000;
/// host: a file of the kernel.
pub const HOST_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// host: what a program such as `systemctl` prints.
pub const HOST_OUTPUT_BYTES: u64 = 1024 * 1024;
/// host: time over which something is measured (`over`).
pub const HOST_SAMPLE: Duration = Duration::from_secs(60);
/// host: a command line.
pub const HOST_COMMAND_BYTES: usize = 4096;
/// host: reads that hang at the same time.
pub const HOST_THREADS: usize = 64;
/// http: a URL.
pub const HTTP_URL_BYTES: usize = 8 * 1024;
/// http: headers of a call, and one value.
pub const HTTP_HEADERS: usize = 64;
/// http: headers of a call, and one value.
pub const HTTP_VALUE_BYTES: usize = 8 * 1024;
/// http: a body that is sent.
pub const HTTP_BODY_BYTES: usize = 1024 * 1024;
/// An alert: the document.
pub const ALERT_BYTES: usize = 1024 * 1024;
/// An alert: labels and annotations together.
pub const ALERT_LABELS: usize = 256;
/// An alert: a name or value of a label or annotation.
pub const ALERT_LABEL_BYTES: usize = 8 * 1024;
/// An alert: the newest runs among which one for the same is looked for.
pub const ALERT_RUNS: u32 = 200;
/// chat: characters of a message; what is longer is cut, and says so.
pub const CHAT_CHARACTERS: usize = 4000;
/// pager: characters of a summary; what is longer is cut, and says so.
pub const PAGE_SUMMARY_CHARACTERS: usize = 1024;
/// pager: the key of an incident.
pub const PAGE_KEY_BYTES: usize = 255;
/// mail: characters of a subject; what is longer is cut, and says so.
pub const MAIL_SUBJECT_CHARACTERS: usize = 200;
/// mail: the text.
pub const MAIL_TEXT_BYTES: usize = 1024 * 1024;
/// http: headers of a reply.
pub const HTTP_REPLY_HEADERS: usize = 100;
/// http: headers of a reply.
pub const HTTP_REPLY_HEADER_BYTES: usize = 64 * 1024;
/// http: a body that is read, after decompression.
pub const HTTP_READ_BYTES: u64 = 10 * 1024 * 1024;
/// http: a body that is kept.
pub const HTTP_KEPT_BYTES: usize = 1024 * 1024;
/// http: redirects, all within one origin.
pub const HTTP_REDIRECTS: usize = 5;
/// http: the resolver, and a connection.
pub const HTTP_CONNECT: Duration = Duration::from_secs(30);
/// http: names of a certificate.
pub const HTTP_NAMES: usize = 1000;
/// postgres: a statement.
pub const POSTGRES_STATEMENT_BYTES: usize = 64 * 1024;
/// postgres: parameters of a statement.
pub const POSTGRES_PARAMETERS: usize = 1_000;
/// postgres: parameters of a statement.
pub const POSTGRES_PARAMETER_BYTES: usize = 4 * 1024 * 1024;
/// postgres: rows of `query`.
pub const POSTGRES_ROWS: usize = 10_000;
/// postgres: rows of `query`.
pub const POSTGRES_RESULT_BYTES: usize = 1024 * 1024;
/// postgres: sessions, tables or indexes in one reply.
pub const POSTGRES_SESSIONS: usize = 10_000;
/// postgres: statements in one reply.
pub const POSTGRES_STATEMENTS: usize = 1_000;
/// postgres: sessions that one call ends or cancels.
pub const POSTGRES_ENDED: usize = 1_000;
/// postgres: wait of a change for each lock.
pub const POSTGRES_LOCK_WAIT: Duration = Duration::from_secs(10);
/// docker: lines of a log.
pub const DOCKER_LINES: usize = 10_000;
/// docker: what a container or a program in it says.
pub const DOCKER_OUTPUT_BYTES: usize = 1024 * 1024;
/// docker: a line of a reply that comes in lines, or what a log says at once.
pub const DOCKER_PIECE_BYTES: usize = 2 * 1024 * 1024;
/// docker: containers of a list, and of one call.
pub const DOCKER_TOGETHER: usize = 500;
/// exec: what a program says, each stream.
pub const EXEC_OUTPUT_BYTES: usize = 1024 * 1024;
/// prometheus: samples of one series, and series of one instant.
pub const PROMETHEUS_SAMPLES: usize = 11_000;
/// jaeger: traces of one call.
pub const JAEGER_TRACES: usize = 1000;
/// jaeger: spans of one trace.
pub const JAEGER_SPANS: usize = 10_000;
/// azure: how often a request is sent while the service says that it is busy.
pub const AZURE_ATTEMPTS: u32 = 2;
/// azure: pages of one list.
pub const AZURE_PAGES: usize = 100;
/// azure: rows, events or resources of one call, where the call says how many.
pub const AZURE_ITEMS: usize = 10_000;
/// azure: resources of one call that does not say how many.
pub const AZURE_LISTED: usize = 1_000;
/// azure: points of a series.
pub const AZURE_POINTS: usize = 10_000;
/// azure: bytes of a query of logs, its values included.
pub const AZURE_QUERY_BYTES: usize = 64 * 1024;
/// github: characters of a title; what is longer is cut, and says so.
pub const GITHUB_TITLE_CHARACTERS: usize = 256;
/// github: characters of an issue or a comment; what is longer is cut, and says so.
pub const GITHUB_BODY_CHARACTERS: usize = 60_000;
/// github: labels that are looked at.
pub const GITHUB_LABELS: usize = 1000;
/// github: characters of the words that are looked for.
pub const GITHUB_QUERY_CHARACTERS: usize = 200;
/// github: issues of one call.
pub const GITHUB_ISSUES: usize = 1000;
/// github: the newest issues among which one that was sent before is looked for.
pub const GITHUB_SEARCHED: usize = 300;
/// github: comments among which one that was sent before is looked for.
pub const GITHUB_COMMENTS: usize = 1000;
/// aws: an unpacked service model.
pub const AWS_MODEL_BYTES: usize = 32 * 1024 * 1024;
/// aws: services of the models.
pub const AWS_SERVICES: usize = 2000;
/// aws: shapes of one service.
pub const AWS_SHAPES: usize = 100_000;
/// aws: structures in structures of one parameter.
pub const AWS_DEPTH: usize = 64;
/// aws: pages of one answer.
pub const AWS_PAGES: usize = 100;
/// aws: elements of one answer that was put together from pages.
pub const AWS_ELEMENTS: usize = 10_000;
/// aws: attempts of a call that may be repeated.
pub const AWS_ATTEMPTS: u32 = 4;
/// aws: characters of what the service says about a refusal.
pub const AWS_SAID_CHARACTERS: usize = 300;
/// status_page: components that are looked at.
pub const STATUS_PAGE_COMPONENTS: usize = 1000;
/// status_page: characters of a name; what is longer is cut, and says so.
pub const STATUS_PAGE_NAME_CHARACTERS: usize = 250;
/// status_page: characters of what is told; what is longer is cut, and says so.
pub const STATUS_PAGE_BODY_CHARACTERS: usize = 20_000;
/// redis, docker: one reply; mail: what a server says in one conversation.
pub const REPLY_BYTES: usize = 16 * 1024 * 1024;
/// redis: keys that one call looks at or changes.
pub const REDIS_KEYS: usize = 100_000;

/// One row: what is limited, the limit as the page prints it, and the test that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The heading of the page under which it stands.
    pub section: &'static str,
    pub what: &'static str,
    pub limit: &'static str,
    /// `None`: only the code says it so far.
    pub reached_by: Option<&'static str>,
}

const fn row(
    section: &'static str,
    what: &'static str,
    limit: &'static str,
    reached_by: Option<&'static str>,
) -> Limit {
    Limit {
        section,
        what,
        limit,
        reached_by,
    }
}
