//! The tables and functions that a statement names.

use super::statement::{Token, tokens};
use std::collections::BTreeSet;

/// A table or function, with its schema where one is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub schema: Option<String>,
    pub name: String,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

/// What a statement needs of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Right {
    /// The right as SQL writes it.
    pub fn word(self) -> &'static str {
        match self {
            Right::Select => "SELECT",
            Right::Insert => "INSERT",
            Right::Update => "UPDATE",
            Right::Delete => "DELETE",
            Right::Truncate => "TRUNCATE",
        }
    }
}

/// Everything a statement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub tables: BTreeSet<(Name, Right)>,
    pub functions: BTreeSet<Name>,
}

/// Words that stand before `(` and are no function of the catalogue.
const NOT_FUNCTIONS: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "coalesce",
    "conflict",
    "distinct",
    "else",
    "except",
    "exists",
    "extract",
    "filter",
    "from",
    "greatest",
    "grouping",
    "having",
    "in",
    "intersect",
    "into",
    "is",
    "join",
    "lateral",
    "least",
    "like",
    "limit",
    "materialized",
    "not",
    "nullif",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "over",
    "overlay",
    "partition",
    "position",
    "returning",
    "rollup",
    "row",
    "rows",
    "select",
    "set",
    "sets",
    "some",
    "substring",
    "table",
    "then",
    "treat",
    "trim",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
    "within",
    "xmlelement",
    "xmlforest",
    // Types with a length.
    "bit",
    "char",
    "character",
    "decimal",
    "float",
    "numeric",
    "time",
    "timestamp",
    "timestamptz",
    "varchar",
    "varying",
    "interval",
];

/// Words in whose parentheses `from` is no list of tables.
const FROM_INSIDE: &[&str] = &["extract", "substring", "trim", "overlay", "position"];

/// Words that end a list of tables.
const ENDS_LIST: &[&str] = &[
    "where",
    "group",
    "order",
    "limit",
    "offset",
    "union",
    "intersect",
    "except",
    "on",
    "set",
    "returning",
    "values",
    "having",
    "window",
    "select",
    "fetch",
    "for",
    "when",
];

/// The names in a statement. A statement that cannot be cut into tokens names nothing that is known.
pub fn names(text: &str) -> Option<Names> {
    let tokens = tokens(text).ok()?;
    let mut names = Names::default();
    let defined = defined(&tokens);
    // For each open parenthesis: whether a list of tables goes on in it, and whether `from` means something else.
    let mut levels = vec![(false, false)];
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let before = at.checked_sub(1).map(|before| &tokens[before]);
        let level = levels.last().copied().unwrap_or_default();
        if matches!(token, Token::Symbol('(')) {
            levels.push((false, before.is_some_and(|word| word.is_one_of(FROM_INSIDE))));
            at += 1;
            continue;
        }
        if matches!(token, Token::Symbol(')')) {
            levels.pop();
            if levels.is_empty() {
                levels.push((false, false));
            }
            at += 1;
            continue;
        }
        let right = table_follows(&tokens, at, level);
        if let Some(right) = right {
            let mut next = at + 1;
            while tokens
                .get(next)
                .is_some_and(|word| word.is_one_of(&["only", "lateral", "table", "into", "from"]))
            {
                next += 1;
            }
            if let Some((name, end)) = name(&tokens, next) {
                let called = matches!(tokens.get(end), Some(Token::Symbol('(')));
                // `insert into t (columns)` is no call.
                if called && right != Right::Insert {
                    names.functions.insert(name);
                } else if name.schema.is_some() || !defined.contains(&name.name) {
                    if matches!(right, Right::Update | Right::Delete) {
                        names.tables.insert((name.clone(), Right::Select));
                    }
                    names.tables.insert((name, right));
                }
                if let Some(level) = levels.last_mut() {
                    level.0 = matches!(right, Right::Select);
                }
                at = end;
                continue;
            }
            if let Some(level) = levels.last_mut() {
                level.0 = matches!(right, Right::Select);
            }
            at = next.max(at + 1);
            continue;
        }
        if token.is_one_of(ENDS_LIST) {
            if let Some(level) = levels.last_mut() {
                level.0 = false;
            }
        } else if let Some((name, end)) = name(&tokens, at)
            && matches!(tokens.get(end), Some(Token::Symbol('(')))
            && !(name.schema.is_none()
                && matches!(token, Token::Word(word) if NOT_FUNCTIONS.contains(&word.to_ascii_lowercase().as_str())))
            && !defined.contains(&name.name)
        {
            names.functions.insert(name);
            at = end;
            continue;
        }
        at += 1;
    }
    Some(names)
}

/// Whether a table is named behind this token, and what is done with it.
fn table_follows(tokens: &[Token<'_>], at: usize, (in_list, from_inside): (bool, bool)) -> Option<Right> {
    let token = &tokens[at];
    let is_before = |words: &[&str]| at.checked_sub(1).is_some_and(|before| tokens[before].is_one_of(words));
    if token.is("from") {
        if from_inside || is_before(&["distinct"]) {
            return None;
        }
        return Some(if is_before(&["delete"]) {
            Right::Delete
        } else {
            Right::Select
        });
    }
    if token.is("join") || (token.is("using") && !matches!(tokens.get(at + 1), Some(Token::Symbol('(')))) {
        return Some(Right::Select);
    }
    if token.is("into") {
        return Some(if is_before(&["merge"]) {
            Right::Update
        } else {
            Right::Insert
        });
    }
    if token.is("update") && !is_before(&["for", "do", "key", "on", "then"]) {
        return Some(Right::Update);
    }
    if token.is("truncate") && at == 0 {
        return Some(Right::Truncate);
    }
    if token.is("table") && at == 0 {
        return Some(Right::Select);
    }
    (in_list && matches!(token, Token::Symbol(','))).then_some(Right::Select)
}

/// Names that the statement itself defines: `with recent as (…)`.
fn defined(tokens: &[Token<'_>]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !tokens.iter().any(|token| token.is("with")) {
        return found;
    }
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is("as")) {
        let _ = token;
        let mut next = at + 1;
        while tokens
            .get(next)
            .is_some_and(|word| word.is_one_of(&["materialized", "not"]))
        {
            next += 1;
        }
        if !matches!(tokens.get(next), Some(Token::Symbol('('))) {
            continue;
        }
        let mut back = at;
        // `recent (a, b) as (…)`
        if back > 0 && matches!(tokens[back - 1], Token::Symbol(')')) {
            while back > 0 && !matches!(tokens[back - 1], Token::Symbol('(')) {
                back -= 1;
            }
            back = back.saturating_sub(1);
        }
        if let Some(Token::Word(word)) = back.checked_sub(1).map(|before| &tokens[before]) {
            found.insert(word.to_ascii_lowercase());
        } else if let Some(Token::Quoted(word)) = back.checked_sub(1).map(|before| &tokens[before]) {
            found.insert((*word).to_owned());
        }
    }
    found
}

/// `name` or `schema.name`, and what stands behind it. Names without quotes are in lower case, as the server takes them.
fn name(tokens: &[Token<'_>], at: usize) -> Option<(Name, usize)> {
    let part = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => Some(word.to_ascii_lowercase()),
        Some(Token::Quoted(word)) => Some(word.replace("\"\"", "\"")),
        _ => None,
    };
    let first = part(at)?;
    if matches!(tokens.get(at), Some(Token::Word(_))) && matches!(first.as_str(), "select" | "values" | "set" | "where")
    {
        return None;
    }
    if matches!(tokens.get(at + 1), Some(Token::Symbol('.')))
        && let Some(second) = part(at + 2)
    {
        return Some((
            Name {
                schema: Some(first),
                name: second,
            },
            at + 3,
        ));
    }
    Some((
        Name {
            schema: None,
            name: first,
        },
        at + 1,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (Vec<String>, Vec<String>) {
        let names = names(text).unwrap();
        (
            names
                .tables
                .iter()
                .map(|(name, right)| format!("{} {name}", right.word()))
                .collect(),
            names.functions.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn tables_and_functions_of_what_runbooks_ask() {
        for (text, tables, functions) in [
            ("select 1", vec![], vec![]),
            ("select count(*) from orders", vec!["SELECT orders"], vec!["count"]),
            (
                "select * from shop.orders o, customers c join \"Old\".items on o.id = items.o where o.at > now()",
                vec!["SELECT customers", "SELECT Old.items", "SELECT shop.orders"],
                vec!["now"],
            ),
            (
                "with recent as (select * from orders), old(a, b) as materialized (select 1, 2 from archive) select * from recent, old",
                vec!["SELECT archive", "SELECT orders"],
                vec![],
            ),
            (
                "select extract(epoch from at), a is distinct from b, trim(both from c) from jobs where id in (select id from done)",
                vec!["SELECT done", "SELECT jobs"],
                vec![],
            ),
            (
                "update jobs set state = 'new' from workers where jobs.worker = workers.id",
                vec!["SELECT jobs", "SELECT workers", "UPDATE jobs"],
                vec![],
            ),
            (
                "delete from only jobs using workers where true",
                vec!["SELECT jobs", "SELECT workers", "DELETE jobs"],
                vec![],
            ),
            (
                "insert into log (at, what) select now(), audit.words(1) from jobs on conflict (at) do update set what = 'x'",
                vec!["SELECT jobs", "INSERT log"],
                vec!["now", "audit.words"],
            ),
            (
                "select * from generate_series(1, 3), jobs",
                vec!["SELECT jobs"],
                vec!["generate_series"],
            ),
            (
                "select 'from nowhere' as \"from\", $1::varchar(3) -- from comment",
                vec![],
                vec![],
            ),
            ("truncate table jobs", vec!["TRUNCATE jobs"], vec![]),
            ("table jobs", vec!["SELECT jobs"], vec![]),
        ] {
            let (mut found, called) = of(text);
            let mut expected: Vec<String> = tables.iter().map(|name| (*name).to_owned()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{text}");
            assert_eq!(called, functions, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_cut_into_tokens_names_nothing() {
        assert_eq!(names("select 'open"), None);
    }
}
