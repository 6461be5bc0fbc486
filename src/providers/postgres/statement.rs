//! Which statements a check may send. A second line of defence: the first is a role that cannot write.
//!
//! The text is cut into tokens by the rules of PostgreSQL (documentation, section 4.1): comments that nest, strings with and
//! without backslashes, dollar quotes, quoted names. Whatever those rules do not cover is refused.

/// A piece of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A keyword or name without quotes, as written.
    Word(&'a str),
    /// A name in quotes, without them; doubled quotes are kept.
    Quoted(&'a str),
    /// A string, number or parameter.
    Literal,
    Symbol(char),
}

impl Token<'_> {
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(text) if text.eq_ignore_ascii_case(word))
    }

    pub fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// A statement that a check may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The text without a semicolon at its end.
    pub text: String,
    pub shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Can stand in parentheses as a table: `select`, `with`, `values`, `table`.
    Rows,
    /// `show` or `explain`: text lines.
    Lines,
}

/// Largest statement, in bytes.
const STATEMENT_BYTES: usize = crate::limits::POSTGRES_STATEMENT_BYTES;

/// Functions that change something, reach outside, or run text as a statement. A name that ends in `*` is a prefix.
const REFUSED_FUNCTIONS: &[&str] = &[
    "binary_upgrade_*",
    "brin_desummarize_range",
    "brin_summarize_*",
    "connectby",
    "crosstab*",
    "cursor_to_xml*",
    "database_to_xml*",
    "dblink*",
    "gin_clean_pending_list",
    "lo_*",
    "loread",
    "lowrite",
    "nextval",
    "pg_advisory_*",
    "pg_backup_*",
    "pg_buffercache_evict*",
    "pg_cancel_backend",
    "pg_clear_*",
    "pg_copy_*",
    "pg_create_*",
    "pg_current_xact_id",
    "pg_drop_*",
    "pg_export_snapshot",
    "pg_file_*",
    "pg_import_system_collations",
    "pg_log_*",
    "pg_logical_*",
    "pg_ls_*",
    "pg_notify",
    "pg_prewarm",
    "pg_promote",
    "pg_read_*",
    "pg_reload_conf",
    "pg_replication_*",
    "pg_restore_*",
    "pg_rotate_logfile*",
    "pg_start_backup",
    "pg_stat_file",
    "pg_stat_reset*",
    "pg_stat_statements_reset",
    "pg_stop_backup",
    "pg_switch_*",
    "pg_sync_replication_slots",
    "pg_terminate_backend",
    "pg_truncate_visibility_map",
    "pg_try_advisory_*",
    "pg_wal_replay_*",
    "query_to_xml*",
    "schema_to_xml*",
    "set_config",
    "setval",
    "table_to_xml*",
    "ts_rewrite",
    "ts_stat",
    "txid_current",
];

/// Looks at a statement of a check.
///
/// # Errors
/// Says in one sentence why a check may not send it.
pub fn query(text: &str) -> Result<Query, String> {
    let (tokens, text) = single(text)?;
    let mut first = 0;
    while matches!(tokens.get(first), Some(Token::Symbol('('))) {
        first += 1;
    }
    let Some(head) = tokens.get(first) else {
        return Err("the statement is empty".to_owned());
    };
    let shape = if head.is_one_of(&["select", "with", "values", "table"]) {
        Shape::Rows
    } else if head.is("show") && first == 0 {
        Shape::Lines
    } else if head.is("explain") && first == 0 {
        explained(&tokens)?;
        Shape::Lines
    } else {
        return Err(
            "a check may only send `select`, `with`, `values`, `table`, `show`, or `explain` without `analyze`"
                .to_owned(),
        );
    };
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        let next = tokens.get(index + 1);
        if token.is("into") {
            return Err("`into` makes a table".to_owned());
        }
        if token.is("for") && next.is_some_and(|next| next.is_one_of(&["update", "share", "no", "key"])) {
            return Err("`for update` and its kin lock rows".to_owned());
        }
        if token.is_one_of(&["insert", "update", "delete", "merge"])
            && before.is_some_and(|before| matches!(before, Token::Symbol('(' | ')')))
        {
            return Err("a part of the statement changes rows".to_owned());
        }
        if matches!(next, Some(Token::Symbol('(')))
            && let Token::Word(name) | Token::Quoted(name) = token
            && is_refused_function(name)
        {
            return Err(format!(
                "the function `{name}` changes something or runs text as a statement"
            ));
        }
    }
    Ok(Query { text, shape })
}

/// Looks at a statement of a change: one statement, no control of transactions or of the session, no files of the server.
///
/// # Errors
/// Says in one sentence why it is not sent.
pub fn change(text: &str) -> Result<String, String> {
    let (tokens, text) = single(text)?;
    let Some(head) = tokens.first() else {
        return Err("the statement is empty".to_owned());
    };
    let Token::Word(word) = head else {
        return Err("the statement does not begin with a keyword".to_owned());
    };
    let refused = [
        "abort",
        "begin",
        "checkpoint",
        "close",
        "commit",
        "copy",
        "deallocate",
        "declare",
        "discard",
        "do",
        "end",
        "execute",
        "fetch",
        "listen",
        "load",
        "lock",
        "move",
        "notify",
        "prepare",
        "release",
        "reset",
        "rollback",
        "savepoint",
        "set",
        "start",
        "unlisten",
    ];
    if head.is_one_of(&refused) {
        return Err(format!(
            "`{}` controls the session or the transaction, or reaches beyond the database",
            word.to_ascii_lowercase()
        ));
    }
    Ok(text)
}

fn is_refused_function(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    REFUSED_FUNCTIONS.iter().any(|refused| match refused.strip_suffix('*') {
        Some(front) => name.starts_with(front),
        None => name == *refused,
    })
}

/// `explain (verbose, buffers off) select …`
fn explained(tokens: &[Token<'_>]) -> Result<(), String> {
    let mut at = 1;
    let mut options: Vec<&Token<'_>> = Vec::new();
    if matches!(tokens.get(at), Some(Token::Symbol('('))) && tokens.get(at + 1).is_some_and(is_explain_option) {
        at += 1;
        while let Some(token) = tokens.get(at) {
            at += 1;
            if matches!(token, Token::Symbol(')')) {
                break;
            }
            options.push(token);
        }
    } else {
        while let Some(token) = tokens
            .get(at)
            .filter(|token| token.is_one_of(&["analyze", "analyse", "verbose"]))
        {
            options.push(token);
            at += 1;
        }
    }
    if options.iter().any(|option| option.is_one_of(&["analyze", "analyse"])) {
        return Err("`explain analyze` runs the statement".to_owned());
    }
    while matches!(tokens.get(at), Some(Token::Symbol('('))) {
        at += 1;
    }
    match tokens.get(at) {
        Some(token) if token.is_one_of(&["select", "with", "values", "table"]) => Ok(()),
        _ => Err("a check may only explain a `select`, `with`, `values` or `table`".to_owned()),
    }
}

fn is_explain_option(token: &Token<'_>) -> bool {
    token.is_one_of(&[
        "analyze",
        "analyse",
        "verbose",
        "costs",
        "settings",
        "generic_plan",
        "buffers",
        "serialize",
        "wal",
        "timing",
        "summary",
        "memory",
        "format",
    ])
}

/// The tokens of one statement.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    single(text).map(|(tokens, _)| tokens)
}

/// The tokens of one statement, and its text without the semicolon at the end.
fn single(text: &str) -> Result<(Vec<Token<'_>>, String), String> {
    if text.len() > STATEMENT_BYTES {
        return Err(format!("the statement is larger than {} KiB", STATEMENT_BYTES / 1024));
    }
    if text.contains('\0') {
        return Err("the statement holds a zero byte".to_owned());
    }
    let mut tokens = Vec::new();
    let mut depth: usize = 0;
    let mut end = None;
    for (token, begin) in scan(text)? {
        if end.is_some() {
            return Err("there is more than one statement".to_owned());
        }
        match token {
            Token::Symbol(';') if depth == 0 => {
                end = Some(begin);
                continue;
            }
            Token::Symbol('(' | '[') => depth += 1,
            Token::Symbol(')' | ']') => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| "a bracket is closed that was not opened".to_owned())?;
            }
            _ => {}
        }
        tokens.push(token);
    }
    if depth > 0 {
        return Err("a bracket is not closed".to_owned());
    }
    Ok((tokens, text.get(..end.unwrap_or(text.len())).unwrap_or(text).to_owned()))
}

/// Every token with the place it begins at.
fn scan(text: &str) -> Result<Vec<(Token<'_>, usize)>, String> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        if byte.is_ascii_whitespace() || byte == 0x0b {
            at += 1;
        } else if rest.starts_with(b"--") {
            at = rest
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'\r'))
                .map_or(bytes.len(), |length| at + length + 1);
        } else if rest.starts_with(b"/*") {
            at = comment_end(bytes, at)?;
        } else if byte == b'\'' {
            tokens.push((Token::Literal, at));
            at = string_end(bytes, at, false)?;
        } else if byte == b'"' {
            let end = quoted_end(bytes, at)?;
            tokens.push((Token::Quoted(text.get(at + 1..end - 1).unwrap_or_default()), at));
            at = end;
        } else if byte == b'$' {
            tokens.push((Token::Literal, at));
            at = dollar_end(bytes, at)?;
        } else if byte.is_ascii_digit() {
            tokens.push((Token::Literal, at));
            at += number_length(rest);
        } else if is_word_start(byte) {
            let length = rest.iter().take_while(|byte| is_word_part(**byte)).count();
            let word = text.get(at..at + length).unwrap_or_default();
            match (bytes.get(at + length), word.to_ascii_lowercase().as_str()) {
                (Some(b'\''), "e") => {
                    tokens.push((Token::Literal, at));
                    at = string_end(bytes, at + length, true)?;
                }
                (Some(b'\''), "b" | "x" | "n") => {
                    tokens.push((Token::Literal, at));
                    at = string_end(bytes, at + length, false)?;
                }
                (Some(b'&'), "u") if matches!(bytes.get(at + length + 1), Some(b'\'' | b'"')) => {
                    return Err("names and strings with `U&` are not accepted".to_owned());
                }
                _ => {
                    tokens.push((Token::Word(word), at));
                    at += length;
                }
            }
        } else {
            tokens.push((Token::Symbol(char::from(byte)), at));
            at += 1;
        }
    }
    Ok(tokens)
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// `12`, `1.5`, `1e-3`. Letters behind it are a word of their own, so that none can hide (`1into t`).
fn number_length(rest: &[u8]) -> usize {
    let digits = |from: usize| {
        rest.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
            .count()
    };
    let mut length = digits(0);
    if matches!(rest.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

fn comment_end(bytes: &[u8], begin: usize) -> Result<usize, String> {
    let mut depth = 0_usize;
    let mut at = begin;
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Ok(at);
                }
            }
            _ => at += 1,
        }
    }
    Err("a comment is not closed".to_owned())
}

fn string_end(bytes: &[u8], begin: usize, backslashes: bool) -> Result<usize, String> {
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if backslashes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err("a string is not closed".to_owned())
}

fn quoted_end(bytes: &[u8], begin: usize) -> Result<usize, String> {
    let mut at = begin + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err("a quoted name is not closed".to_owned())
}

/// `$1`, or `$tag$ … $tag$`.
fn dollar_end(bytes: &[u8], begin: usize) -> Result<usize, String> {
    let rest = bytes.get(begin + 1..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return Ok(begin + 1 + digits);
    }
    let tag = rest
        .iter()
        .take_while(|byte| is_word_start(**byte) || byte.is_ascii_digit())
        .count();
    if rest.get(tag) != Some(&b'$') {
        return Err("a `$` stands alone".to_owned());
    }
    let mark = bytes.get(begin..begin + tag + 2).unwrap_or_default();
    let body = begin + mark.len();
    bytes
        .get(body..)
        .unwrap_or_default()
        .windows(mark.len())
        .position(|window| window == mark)
        .map(|offset| body + offset + mark.len())
        .ok_or_else(|| "a dollar-quoted string is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Shape, change, query};
    use proptest::prelude::{any, proptest};

    #[test]
    fn statements_that_only_read_pass() {
        for text in [
            "select 1",
            "SELECT 1;",
            "select 1 ; -- done",
            "  /* why */ select count(*) from t where note = 'a; delete from t'",
            "with a as (select 1) select * from a",
            "(select 1) union (select 2)",
            "values (1), (2)",
            "table pg_class",
            "select e'it\\'s; drop table t'",
            "select $$; drop table t$$, $tag$ $$ ; $tag$",
            "select a$$b from t",
            "select \"delete\" from t",
            "select * from t where created_at > now() - $1 order by 1 limit 100",
            "select update from t",
            "select 1e-3--5\n, 2",
            "select '\\'",
        ] {
            assert_eq!(query(text).map(|query| query.shape), Ok(Shape::Rows), "{text}");
        }
        for text in [
            "show max_connections",
            "explain select 1",
            "explain (verbose, format json) select 1",
        ] {
            assert_eq!(query(text).map(|query| query.shape), Ok(Shape::Lines), "{text}");
        }
        assert_eq!(query("select 1 ; -- done").unwrap().text, "select 1 ");
    }

    #[test]
    fn statements_that_change_or_hide_something_are_refused() {
        for (text, why) in [
            ("", "empty"),
            (";", "empty"),
            ("-- nothing", "empty"),
            ("select 1; drop table t", "more than one"),
            ("select 1;;", "more than one"),
            ("commit; insert into t values (1)", "more than one"),
            ("commit", "may only send"),
            ("insert into t values (1)", "may only send"),
            (
                "with a as (insert into t values (1) returning 1) select * from a",
                "changes rows",
            ),
            ("with a as (delete from t returning 1) select * from a", "changes rows"),
            (
                "with a as materialized (update t set x = 1 returning 1) select * from a",
                "changes rows",
            ),
            ("with a as (select 1) delete from t", "changes rows"),
            ("explain analyze delete from t", "runs the statement"),
            ("explain (analyze) select 1", "runs the statement"),
            ("explain (costs off, ANALYSE true) select 1", "runs the statement"),
            ("explain verbose analyze select 1", "runs the statement"),
            ("explain delete from t", "only explain"),
            ("explain /* */ (select 1); delete from t", "more than one"),
            ("select * into copy from t", "`into`"),
            ("select 1into copy", "`into`"),
            ("select * from t for update", "lock rows"),
            ("select * from t for no key update", "lock rows"),
            ("select nextval('s')", "nextval"),
            ("select pg_catalog.nextval('s')", "nextval"),
            ("select \"pg_terminate_backend\" (1)", "pg_terminate_backend"),
            ("select PG_Terminate_Backend/* */(1)", "PG_Terminate_Backend"),
            ("select set_config('transaction_read_only', 'off', false)", "set_config"),
            ("select lo_import('/etc/passwd')", "lo_import"),
            ("select * from dblink('…', '…')", "dblink"),
            ("select query_to_xml('delete from t', true, true, '')", "query_to_xml"),
            ("copy (select 1) to program 'id'", "may only send"),
            ("set transaction_read_only = off", "may only send"),
            ("do $$ begin end $$", "may only send"),
            ("select U&\"pg\\005fterminate_backend\"(1)", "`U&`"),
            ("select 'open", "not closed"),
            ("select \"open", "not closed"),
            ("select $$open", "not closed"),
            ("select /* /* */ open", "not closed"),
            ("select (1", "not closed"),
            ("select 1) as a, (select 2", "not opened"),
            ("select 1 $ 2", "stands alone"),
            // The comment ends where PostgreSQL ends it: at the carriage return too.
            ("select 1 --\r; drop table t", "more than one"),
            ("select e'\\\\'; drop table t; --'", "more than one"),
            ("select 1 /* /* */ */ ; drop table t", "more than one"),
        ] {
            let refusal = query(text).expect_err(text);
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        let long = format!("select '{}'", "x".repeat(70_000));
        assert!(query(&long).unwrap_err().contains("64 KiB"));
        assert!(query("select '\0'").unwrap_err().contains("zero byte"));
    }

    #[test]
    fn a_change_is_one_statement_that_leaves_the_session_alone() {
        assert_eq!(
            change("delete from t where id = $1;").unwrap(),
            "delete from t where id = $1"
        );
        assert_eq!(change("vacuum analyze t").unwrap(), "vacuum analyze t");
        for text in [
            "begin",
            "COMMIT",
            "set role postgres",
            "copy t to program 'id'",
            "do $$ begin end $$",
            "delete from t; delete from u",
            "(select 1)",
            "",
        ] {
            assert!(change(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = query(&text);
            let _ = change(&text);
        }

        #[test]
        fn no_mixture_of_quotes_makes_it_panic(text in "[-/*'\"$aeEuU&;()\\\\ \n\r.0-9]{0,40}") {
            let _ = query(&format!("select {text}"));
        }
    }
}
