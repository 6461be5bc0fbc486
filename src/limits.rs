//! Every limit, in one place. What a runbook, a file, a server or a person gives ends in a result or in one of these.
//!
//! The modules take their limits from here; `docs/language/limits.md` prints [`TABLE`], and a test compares the two. Where a limit is
//! reached there is an error with its place, or an unknown that says which limit it was; what is cut is marked as cut.

use std::time::Duration;

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
/// redis: one reply.
pub const REDIS_REPLY_BYTES: usize = 16 * 1024 * 1024;
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

/// Every row of the page that has a number of this program, in its order.
pub const TABLE: &[Limit] = &[
    row(
        "A file",
        "a file, and every module it uses",
        "1 MiB",
        Some("a_file_that_is_too_large_is_not_read"),
    ),
    row(
        "A file",
        "nesting of braces",
        "64",
        Some("nesting_up_to_the_limit_is_read"),
    ),
    row(
        "A file",
        "nesting of brackets and parentheses",
        "128",
        Some("nesting_up_to_the_limit_is_read"),
    ),
    row(
        "A file",
        "nesting of types, such as `List<List<…>>`",
        "128",
        Some("types_nest_only_so_far"),
    ),
    row(
        "A file",
        "depth of one expression, chains of operators included",
        "200",
        Some("chains_of_operators_are_limited_like_nesting"),
    ),
    row(
        "A file",
        "values in one chain of `until … then` of a scenario",
        "200",
        Some("a_chain_of_untils_is_limited"),
    ),
    row(
        "A file",
        "syntax errors shown for one file",
        "100; the rest is not shown",
        Some("at_most_a_hundred_mistakes_are_shown"),
    ),
    row(
        "A file",
        "folders in folders in which `starr check` and `starr fmt` look for files",
        "32",
        Some("folders_are_searched_only_so_deep"),
    ),
    row(
        "A program",
        "called runbooks",
        "4 deep",
        Some("runbooks_nest_four_deep"),
    ),
    row(
        "A program",
        "what library checks and actions become in one program",
        "10,000 bindings",
        Some("library_checks_that_multiply_are_stopped"),
    ),
    row(
        "A program",
        "library checks and actions that use each other",
        "16 deep",
        Some("library_checks_that_multiply_are_stopped"),
    ),
    row(
        "A program",
        "modules that use each other",
        "32 deep",
        Some("modules_use_each_other_only_so_deep"),
    ),
    row(
        "A program",
        "records in records",
        "64 deep",
        Some("records_nest_only_so_deep"),
    ),
    row(
        "A program",
        "records and lists written in place",
        "32 deep, 2,000 parts",
        Some("types_that_grow_are_stopped"),
    ),
    row(
        "A program",
        "a compiled pattern of the file",
        "256 KiB",
        Some("a_pr_3_a_pattern_takes_linear_time_and_little_memory"),
    ),
    row(
        "A program",
        "elements of `N of {…}` in an example",
        "10,000",
        Some("an_example_gives_only_so_many_elements"),
    ),
    row(
        "A value",
        "elements of a list that an operation works on",
        "100,000",
        Some("a_list_that_is_too_long_is_unknown"),
    ),
    row(
        "A value",
        "samples of series that an operation puts together",
        "100,000",
        Some("series_that_are_too_long_together_are_unknown"),
    ),
    row(
        "A value",
        "a text in which `contains` and `matches` look",
        "4 MiB",
        Some("bad_and_huge_patterns_are_unknown"),
    ),
    row(
        "A value",
        "a pattern that is compiled during a run",
        "1 MiB",
        Some("bad_and_huge_patterns_are_unknown"),
    ),
    row(
        "A value",
        "nesting of a reply that is decoded",
        "64",
        Some("a_deep_document_does_not_exhaust_the_stack"),
    ),
    row(
        "A value",
        "a value of `--set`",
        "64 KiB",
        Some("a_value_of_the_command_line_is_limited"),
    ),
    row(
        "A value",
        "a text with values filled in",
        "64 KiB; cut there with `…`",
        Some("a_ti_3_evaluation_without_end_is_bounded_and_names_the_step"),
    ),
    row(
        "A value",
        "comparisons shown as the evidence of one answer",
        "50; the rest is not shown",
        Some("the_evidence_of_one_answer_is_limited"),
    ),
    row(
        "A run",
        "steps begun, loops and called runbooks included",
        "10,000; then the run escalates",
        Some("a_ti_3_evaluation_without_end_is_bounded_and_names_the_step"),
    ),
    row(
        "A run",
        "elements of an `each`, whatever `at most` says",
        "10,000; a longer list treats none and escalates",
        Some("a_list_beyond_the_limit_treats_none_whatever_at_most_says"),
    ),
    row(
        "A run",
        "elements of `any f(each xs)` and `all f(each xs)`, and calls with `each`",
        "1,000",
        Some("a_fan_out_over_too_many_elements_asks_none"),
    ),
    row(
        "A run",
        "questions that are asked at the same time",
        "16",
        Some("only_so_many_questions_are_asked_at_once"),
    ),
    row(
        "A run",
        "retries where one unknown answer stands in the way of a cause",
        "20",
        Some("asking_again_ends"),
    ),
    row(
        "A run",
        "questions that `run.evidence` lists",
        "200; the rest is not listed",
        Some("the_evidence_of_a_run_lists_only_so_many_questions"),
    ),
    row(
        "A run",
        "a line that a person types",
        "4 KiB; what is behind it up to the end of the line is left out",
        Some("a_line_is_read_as_far_as_the_limit_and_its_rest_answers_nothing"),
    ),
    row(
        "A run",
        "one entry of the journal",
        "64 MiB; a larger one cannot be written, which ends the run with exit code 5",
        Some("an_entry_that_is_too_large_is_not_recorded"),
    ),
    row(
        "A run",
        "one line of a recording (`--record`)",
        "16 MiB; the recording ends there and says so",
        Some("a_recording_is_taken_whole_or_not_at_all"),
    ),
    row(
        "A run",
        "a whole recording that is read",
        "256 MiB",
        Some("a_recording_larger_than_the_limit_is_not_read"),
    ),
    row(
        "Environment",
        "a configuration file",
        "1 MiB",
        Some("a_configuration_file_is_limited"),
    ),
    row(
        "Environment",
        "a file with a secret",
        "64 KiB",
        Some("a_file_with_a_secret_is_limited"),
    ),
    row(
        "Environment",
        "a secret that is looked for in the output",
        "6 characters at least; a shorter one is warned about",
        Some("a_short_secret_is_warned_about_and_takes_no_words_out"),
    ),
    row(
        "Environment",
        "secrets that are looked for in the output",
        "2,000; a later one is warned about",
        Some("only_so_many_secrets_are_looked_for_and_the_next_is_warned_about"),
    ),
    row(
        "Environment",
        "a signature",
        "64 KiB",
        Some("signatures_and_locks_are_limited"),
    ),
    row(
        "Environment",
        "a list of allowed signers",
        "1 MiB",
        Some("signatures_and_locks_are_limited"),
    ),
    row(
        "Environment",
        "`starr.lock`",
        "1 MiB",
        Some("signatures_and_locks_are_limited"),
    ),
    row(
        "host",
        "processes, and listeners, in one reply",
        "10,000",
        Some("only_so_many_processes_and_listeners_are_in_one_reply"),
    ),
    row(
        "host",
        "file systems in one reply",
        "512",
        Some("more_file_systems_than_are_listed_are_a_list_that_was_cut"),
    ),
    row(
        "host",
        "failed units in one reply",
        "200",
        Some("only_so_many_failed_units_are_looked_at"),
    ),
    row(
        "host",
        "one file system that does not answer",
        "5 s; its numbers are unknown",
        Some("a_file_system_that_does_not_answer_is_waited_for_only_so_long"),
    ),
    row(
        "host",
        "records of the kernel's log",
        "200,000",
        Some("a_log_that_does_not_reach_back_cuts_the_list_of_victims"),
    ),
    row(
        "host",
        "a file of the kernel",
        "8 MiB",
        Some("a_file_of_the_kernel_is_limited"),
    ),
    row(
        "host",
        "what a program such as `systemctl` prints",
        "1 MiB",
        Some("a_program_that_hangs_or_babbles_is_ended"),
    ),
    row(
        "host",
        "time over which something is measured (`over`)",
        "10 ms to 1 min",
        Some("hostile_arguments_are_refused"),
    ),
    row(
        "host",
        "a command line",
        "4 KiB; a longer one is unknown",
        Some("a_command_line_that_is_too_long_is_unknown_and_not_shorter"),
    ),
    row(
        "host",
        "reads that hang at the same time",
        "64",
        Some("only_so_many_threads_are_under_way"),
    ),
    row("http", "a URL", "8 KiB", Some("urls_that_hide_something_are_refused")),
    row(
        "http",
        "headers of a call, and one value",
        "64, 8 KiB",
        Some("headers_of_a_call_are_limited"),
    ),
    row(
        "http",
        "a body that is sent",
        "1 MiB",
        Some("a_body_that_is_sent_is_limited"),
    ),
    row(
        "http",
        "headers of a reply",
        "100, together 64 KiB",
        Some("malformed_and_oversized_replies_are_unknown"),
    ),
    row(
        "http",
        "a body that is read, after decompression",
        "10 MiB",
        Some("a_body_is_bounded_after_decompression"),
    ),
    row(
        "http",
        "a body that is kept",
        "1 MiB",
        Some("a_body_is_bounded_after_decompression"),
    ),
    row(
        "http",
        "redirects, all within one origin",
        "5",
        Some("redirects_stay_within_the_origin"),
    ),
    row(
        "http",
        "the resolver, and a connection",
        "30 s, or the call's own deadline when that is shorter",
        Some("a_connection_that_does_not_come_is_waited_for_only_so_long"),
    ),
    row(
        "http",
        "names of a certificate",
        "1,000; a longer list is one that was cut",
        Some("more_names_than_are_listed_are_a_list_that_was_cut"),
    ),
    row(
        "postgres",
        "connections, for checks and for changes each",
        "1 to 10",
        Some("more_calls_than_connections_wait_for_their_turn"),
    ),
    row(
        "postgres",
        "a statement",
        "64 KiB",
        Some("statements_that_change_or_hide_something_are_refused"),
    ),
    row(
        "postgres",
        "parameters of a statement",
        "1,000, together 4 MiB",
        Some("parameters_are_limited_in_number_and_size"),
    ),
    row(
        "postgres",
        "rows of `query`",
        "10,000, together 1 MiB",
        Some("too_many_rows_or_bytes_are_unknown_not_fewer"),
    ),
    row(
        "postgres",
        "sessions, tables or indexes in one reply",
        "10,000",
        Some("a_list_that_is_cut_says_so"),
    ),
    row(
        "postgres",
        "statements in one reply",
        "1,000",
        Some("only_so_many_statements_are_asked_for"),
    ),
    row(
        "postgres",
        "sessions that one call ends or cancels",
        "1,000; more is a failure and ends none",
        Some("more_sessions_than_one_call_may_end_are_a_failure_and_none_is_ended"),
    ),
    row(
        "postgres",
        "wait of a change for each lock",
        "10 s",
        Some("a_lock_that_is_not_free_is_a_timeout"),
    ),
    row(
        "docker",
        "lines of a log",
        "10,000",
        Some("what_a_container_says_is_bounded"),
    ),
    row(
        "docker",
        "what a container or a program in it says",
        "1 MiB of each stream; a longer one is cut",
        Some("what_a_container_says_is_bounded"),
    ),
    row(
        "docker",
        "containers of one list",
        "500; more are cut",
        Some("a_list_has_only_so_many_containers"),
    ),
    row(
        "docker",
        "containers, networks, volumes or images that one call changes",
        "500; more is a failure and changes none",
        Some("a_call_takes_only_so_many_containers"),
    ),
    row(
        "exec",
        "what a program says",
        "1 MiB of each stream; a check whose program says more is unknown",
        Some("a_program_that_says_too_much_is_ended"),
    ),
    row(
        "prometheus",
        "samples of one series, and series of one instant",
        "11,000",
        Some("a_series_has_only_so_many_samples"),
    ),
    row(
        "jaeger",
        "traces of one call, and spans of one trace",
        "1,000 and 10,000; a trace with more is cut",
        Some("a_trace_of_too_many_spans_is_cut"),
    ),
    row(
        "azure",
        "how often a request is sent while the service says that it is busy",
        "2 times, and never beyond the call's deadline",
        Some("a_busy_service_is_asked_again_as_it_says"),
    ),
    row(
        "azure",
        "pages of one list",
        "100; a longer one is cut",
        Some("a_list_without_end_is_cut"),
    ),
    row(
        "azure",
        "rows, events or resources of one call, where the call says how many",
        "10,000",
        Some("more_than_is_allowed_is_refused_or_cut"),
    ),
    row(
        "azure",
        "resources of one call that does not say how many",
        "1,000; more are cut",
        Some("more_than_is_allowed_is_refused_or_cut"),
    ),
    row(
        "azure",
        "points of a series",
        "10,000",
        Some("only_steps_that_the_service_has_are_asked"),
    ),
    row(
        "azure",
        "a query of logs, its values included",
        "64 KiB",
        Some("names_and_values_belong_together"),
    ),
    row(
        "github",
        "characters of a title, and of an issue or a comment",
        "256 and 60,000; a longer one is cut",
        Some("lengths_are_those_that_are_taken"),
    ),
    row(
        "github",
        "labels that are looked at, and issues of one call",
        "1,000",
        Some("what_there_is_too_much_of_is_cut_or_refused"),
    ),
    row(
        "github",
        "the newest issues among which one that was sent before is looked for",
        "300",
        Some("an_issue_is_looked_for_among_the_newest"),
    ),
    row(
        "github",
        "comments among which one that was sent before is looked for",
        "1,000; with more nothing is sent",
        Some("what_there_is_too_much_of_is_cut_or_refused"),
    ),
    row(
        "aws",
        "a service model, unpacked, its shapes, and services",
        "32 MiB, 100,000 and 2,000",
        Some("a_broken_file_is_no_file_and_nothing_panics"),
    ),
    row(
        "aws",
        "structures in structures of one parameter or answer",
        "64",
        Some("what_is_nested_too_deeply_is_refused"),
    ),
    row(
        "aws",
        "pages and elements of one answer",
        "100 and 10,000; with more it is unknown",
        Some("an_answer_without_end_is_unknown"),
    ),
    row(
        "aws",
        "attempts of a call that may be repeated",
        "4",
        Some("a_look_is_repeated_and_a_change_is_not"),
    ),
    row(
        "aws",
        "characters of what a service says about a refusal",
        "300",
        Some("what_is_said_about_a_refusal_is_cut"),
    ),
    row(
        "status_page",
        "components that are looked at",
        "1,000",
        Some("a_page_of_too_many_components_is_unknown"),
    ),
    row(
        "status_page",
        "characters of a name, and of what is told",
        "250 and 20,000; what is longer is cut",
        Some("what_is_told_is_text_of_a_bounded_length"),
    ),
    row(
        "redis",
        "one reply",
        "16 MiB; a larger one is unknown",
        Some("a_reply_beyond_the_limit_is_unknown"),
    ),
    row(
        "redis",
        "keys that one call looks at or changes",
        "100,000",
        Some("a_call_takes_only_so_many_keys"),
    ),
];
