//! What the environment says about a program: its path, its arguments and their types, whether it only looks, what its exit codes
//! mean and what it prints. The same contract holds on this machine and inside a container, so that a probe can travel.

mod argument;

use super::failure::{excerpt, wrong};
use crate::provider::Outcome;
use crate::secrets::SecretSource;
use crate::value::decode::decode;
use crate::value::{Reason, RecordType, Type, Unknown, Value};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use argument::{Argument, Word};

/// Most bytes kept of each stream of a program.
pub const OUTPUT_BYTES: usize = crate::limits::EXEC_OUTPUT_BYTES;

/// Most bytes of all words that a program is given.
const WORDS_BYTES: usize = 16 * 1024;

/// Most characters kept of what a program says about errors.
const ERROR_CHARACTERS: usize = 2000;

/// A declared program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The absolute path of the program. It is not looked for anywhere.
    pub program: PathBuf,
    /// Whether it only looks.
    pub does: Does,
    /// The words it is given, in this order: literal words, and named ones with a type.
    #[serde(default)]
    pub arguments: Vec<Word>,
    /// What its exit codes mean.
    #[serde(default)]
    pub exit: Exit,
    /// What it prints.
    #[serde(default)]
    pub output: Output,
    /// The types in its document, for `output: json`.
    #[serde(default)]
    pub schema: Option<Json>,
    /// Longest time it may take.
    #[serde(default = "default_seconds")]
    pub within_seconds: u32,
    /// A change that does no more when it is sent again.
    #[serde(default)]
    pub repeatable: bool,
    /// The folder it begins in; `/` when absent.
    #[serde(default)]
    pub folder: Option<PathBuf>,
    /// Its whole environment.
    #[serde(default)]
    pub environment: BTreeMap<String, Variable>,
    /// What it may reach on this machine.
    #[serde(default)]
    pub confine: Option<Confine>,
}

fn default_seconds() -> u32 {
    60
}

/// Whether a program changes anything.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// It looks, and may be run at any time.
    Read,
    /// It looks, and what it does costs something or is felt: the operator is asked once in a run.
    Costly,
    Change,
}

/// Which exit codes mean what; every other is unknown.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    /// For a check yes, for a change done.
    #[serde(default = "zero")]
    pub ok: Vec<i32>,
    /// For a check no, for a change: nothing was done.
    #[serde(default)]
    pub no: Vec<i32>,
}

fn zero() -> Vec<i32> {
    vec![0]
}

impl Default for Exit {
    fn default() -> Self {
        Self {
            ok: zero(),
            no: Vec::new(),
        }
    }
}

/// What a program prints.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Nothing that is kept.
    #[default]
    None,
    Text,
    Lines,
    Json,
}

/// A variable of a program's environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Variable {
    Value(String),
    Secret(SecretSource),
}

/// What a program of this machine may reach beyond itself and the system's own programs and libraries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confine {
    /// Files and folders it may read.
    #[serde(default)]
    pub reads: Vec<PathBuf>,
    /// Files and folders it may read and write.
    #[serde(default)]
    pub writes: Vec<PathBuf>,
    /// Files and folders it may read and run programs from.
    #[serde(default)]
    pub runs: Vec<PathBuf>,
    /// Whether it may use sockets.
    #[serde(default)]
    pub network: bool,
    /// False: it runs all the same where the kernel cannot confine it, and the record says so.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

impl Default for Confine {
    fn default() -> Self {
        Self {
            reads: Vec::new(),
            writes: Vec::new(),
            runs: Vec::new(),
            network: false,
            required: true,
        }
    }
}

/// How a program ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The exit code; `None` when a signal ended it or its end was not seen.
    pub code: Option<i64>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    /// True when it said more than is kept.
    pub cut: bool,
    pub took: Duration,
    /// `full`, `part`, `nothing`, `container`
    pub confined: &'static str,
}

impl Contract {
    /// What is wrong with it.
    ///
    /// # Errors
    /// One sentence that names the part.
    pub fn validate(&self) -> Result<(), String> {
        if !self.program.is_absolute() {
            return Err(format!("`program`: {} is not an absolute path", self.program.display()));
        }
        if self.within_seconds == 0 || self.within_seconds > 3600 {
            return Err("`within_seconds` is not between 1 and 3600".to_owned());
        }
        if self.exit.ok.is_empty() || self.exit.ok.iter().any(|code| self.exit.no.contains(code)) {
            return Err("`exit` gives no code for `ok`, or one code two meanings".to_owned());
        }
        if self.repeatable && self.does != Does::Change {
            return Err("`repeatable` is for a change; what only looks may always be run again".to_owned());
        }
        let mut names: Vec<&str> = Vec::new();
        for word in &self.arguments {
            match word {
                Word::Literal(text) if text.contains('\0') => {
                    return Err("an argument holds a NUL".to_owned());
                }
                Word::Literal(_) => {}
                Word::Named(argument) => {
                    argument.validate()?;
                    if names.contains(&argument.name.as_str()) {
                        return Err(format!("the argument `{}` is declared twice", argument.name));
                    }
                    names.push(&argument.name);
                }
            }
        }
        match (&self.schema, self.output) {
            (Some(schema), Output::Json) => document_type(schema).map(|_| ())?,
            (Some(_), _) => return Err("`schema` is for `output: json`".to_owned()),
            (None, _) => {}
        }
        for name in self.environment.keys() {
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.is_empty() || !plain || name == MARK {
                return Err(format!("`{name}` cannot be a variable of its environment"));
            }
        }
        if self.folder.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err("`folder` is not an absolute path".to_owned());
        }
        let confine = self.confine.iter();
        for path in confine.flat_map(|confine| confine.reads.iter().chain(&confine.writes).chain(&confine.runs)) {
            if !path.is_absolute() {
                return Err(format!("`confine`: {} is not an absolute path", path.display()));
            }
        }
        Ok(())
    }

    /// The names of its arguments.
    pub fn names(&self) -> Vec<&str> {
        self.arguments
            .iter()
            .filter_map(|word| match word {
                Word::Named(argument) => Some(argument.name.as_str()),
                Word::Literal(_) => None,
            })
            .collect()
    }

    /// Longest time it may take.
    pub fn within(&self) -> Duration {
        Duration::from_secs(self.within_seconds.into())
    }

    /// Whether an operation that does this may run it.
    pub fn allows(&self, name: &str, does: Does, again: bool) -> Result<(), Unknown> {
        let declared = match self.does {
            Does::Read => "only looks",
            Does::Costly => "looks, and costs something",
            Does::Change => "changes something",
        };
        if self.does != does {
            return Err(wrong(
                Reason::Denied,
                format!("by its contract `{name}` {declared}: another operation runs it"),
            ));
        }
        if again && !self.repeatable {
            return Err(wrong(
                Reason::Denied,
                format!("by its contract `{name}` may not be sent twice: `run` runs it"),
            ));
        }
        Ok(())
    }

    /// The words behind the program's own path.
    ///
    /// # Errors
    /// An argument that is missing, not declared, or does not fit.
    pub fn words(&self, with: &Value) -> Result<Vec<String>, Unknown> {
        let given = match with {
            Value::None => serde_json::Map::new(),
            with => match crate::value::document::of(with)? {
                Json::Object(fields) => fields,
                _ => return Err(wrong(Reason::Unparsable, "`with` is a record of arguments")),
            },
        };
        let declared: Vec<&Argument> = self
            .arguments
            .iter()
            .filter_map(|word| match word {
                Word::Named(argument) => Some(&**argument),
                Word::Literal(_) => None,
            })
            .collect();
        if let Some(extra) = given
            .keys()
            .find(|name| !declared.iter().any(|argument| argument.name == **name))
        {
            return Err(wrong(
                Reason::Unparsable,
                format!("its contract knows no argument `{}`", excerpt(extra, 40)),
            ));
        }
        let mut words = Vec::new();
        for word in &self.arguments {
            let argument = match word {
                Word::Literal(text) => {
                    words.push(text.clone());
                    continue;
                }
                Word::Named(argument) => argument,
            };
            let json = match given.get(&argument.name) {
                None | Some(Json::Null) if argument.optional => continue,
                None | Some(Json::Null) => {
                    return Err(wrong(
                        Reason::Unparsable,
                        format!("the argument `{}` is missing", argument.name),
                    ));
                }
                Some(json) => json,
            };
            let Some(text) = argument.word(json)? else { continue };
            match &argument.flag {
                Some(flag) if argument.ty == "Bool" => words.push(flag.clone()),
                Some(flag) if flag.ends_with('=') => words.push(format!("{flag}{text}")),
                Some(flag) => words.extend([flag.clone(), text]),
                None => words.push(text),
            }
        }
        let size: usize = words.iter().map(|word| word.len() + 1).sum();
        if size > WORDS_BYTES {
            return Err(wrong(Reason::Unparsable, "the arguments are longer than 16 KiB"));
        }
        Ok(words)
    }

    /// The variables of its environment, with secrets read now.
    pub fn variables(&self) -> Result<Vec<(String, crate::secrets::SecretText)>, Unknown> {
        self.environment
            .iter()
            .map(|(name, variable)| {
                let text = match variable {
                    Variable::Value(text) => crate::secrets::SecretText::new(text.clone()),
                    Variable::Secret(source) => source.read().map_err(|problem| wrong(Reason::Unavailable, problem))?,
                };
                Ok((name.clone(), text))
            })
            .collect()
    }

    /// What its exit code means.
    fn meaning(&self, ended: &Ended) -> Result<bool, Unknown> {
        let Some(code) = ended.code else {
            return Err(wrong(
                Reason::Unavailable,
                format!("it was ended by a signal{}", said(&ended.err)),
            ));
        };
        let is = |codes: &[i32]| codes.iter().any(|known| i64::from(*known) == code);
        if is(&self.exit.ok) {
            Ok(true)
        } else if is(&self.exit.no) {
            Ok(false)
        } else {
            Err(wrong(
                Reason::Unavailable,
                format!(
                    "it ended with the exit code {code}, which its contract does not know{}",
                    said(&ended.err)
                ),
            ))
        }
    }

    /// Its document; unknown where it does not fit the contract.
    fn document(&self, ended: &Ended) -> Value {
        if ended.cut {
            return Value::unknown(Reason::Truncated, "it printed more than 1 MiB");
        }
        let Ok(json) = serde_json::from_slice::<Json>(&ended.out) else {
            return Value::unknown(Reason::Unparsable, "what it printed is not JSON");
        };
        if let Some(ty) = self.schema.as_ref().and_then(|schema| document_type(schema).ok())
            && let Some(unknown) = first_unknown(&decode(&ty, &json))
        {
            return Value::unknown(
                Reason::Unparsable,
                format!("what it printed does not fit its contract: {}", unknown.detail),
            );
        }
        Value::Json(Arc::new(json))
    }

    /// The record `Ran`.
    fn ran(&self, ended: &Ended, ok: bool) -> Value {
        let text = String::from_utf8_lossy(&ended.out);
        let most = crate::limits::LIST_ELEMENTS;
        let lines = crate::value::List {
            items: match self.output {
                Output::Lines => text.lines().take(most).map(Value::text).collect(),
                _ => Vec::new(),
            },
            truncated: self.output == Output::Lines && (ended.cut || text.lines().nth(most).is_some()),
        };
        Value::record(
            "Ran",
            vec![
                ("ok", Value::Bool(ok)),
                (
                    "code",
                    ended.code.map_or_else(
                        || Value::unknown(Reason::Missing, "it was ended by a signal"),
                        Value::Int,
                    ),
                ),
                (
                    "text",
                    match self.output {
                        Output::Text if ended.cut => Value::unknown(Reason::Truncated, "it printed more than 1 MiB"),
                        Output::Text => Value::text(text.trim_end()),
                        _ => Value::None,
                    },
                ),
                ("lines", Value::List(Arc::new(lines))),
                (
                    "document",
                    match self.output {
                        Output::Json => self.document(ended),
                        _ => Value::None,
                    },
                ),
                (
                    "errors",
                    Value::text(
                        String::from_utf8_lossy(&ended.err)
                            .chars()
                            .take(ERROR_CHARACTERS)
                            .collect::<String>(),
                    ),
                ),
                ("took", Value::duration(ended.took)),
                ("confined", Value::variant(ended.confined)),
            ],
        )
    }

    /// What it says as a check. An exit code without a meaning, and a reply that was cut, are unknown.
    pub fn answer(&self, ended: &Ended) -> Result<Value, Unknown> {
        let ok = self.meaning(ended)?;
        if ended.cut && self.output != Output::None {
            return Err(wrong(Reason::Truncated, "it printed more than 1 MiB"));
        }
        let ran = self.ran(ended, ok);
        if self.output == Output::Json
            && let Some(Value::Unknown(unknown)) = ran.as_record().and_then(|record| record.get("document"))
        {
            return Err((**unknown).clone());
        }
        Ok(ran)
    }

    /// What came of it as a change: only its own codes say that it was done or that nothing was.
    pub fn outcome(&self, ended: &Ended) -> Outcome {
        match self.meaning(ended) {
            Ok(true) => Outcome::Done(self.ran(ended, true)),
            Ok(false) => Outcome::Failed(wrong(
                Reason::Unavailable,
                format!(
                    "it says that it did nothing: exit code {}{}",
                    ended.code.unwrap_or_default(),
                    said(&ended.err)
                ),
            )),
            Err(unknown) => Outcome::Unclear(unknown),
        }
    }
}

/// The variable by which the processes of one call are known again.
pub const MARK: &str = "STARR_CALL";

fn said(err: &[u8]) -> String {
    let text = excerpt(&String::from_utf8_lossy(err), 200);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The first part of a value that is not known.
pub fn first_unknown(value: &Value) -> Option<&Unknown> {
    match value {
        Value::Unknown(unknown) => Some(unknown),
        Value::List(list) => list.items.iter().find_map(first_unknown),
        Value::Record(record) => record.fields.iter().find_map(|(_, value)| first_unknown(value)),
        _ => None,
    }
}

/// The type that a schema writes: a name with `?` where it may be absent, a list of one, a record of names.
///
/// # Errors
/// What is no type.
pub fn document_type(schema: &Json) -> Result<Type, String> {
    match schema {
        Json::String(name) => {
            if let Some(inner) = name.strip_suffix('?') {
                return document_type(&Json::String(inner.to_owned())).map(|inner| Type::Optional(Box::new(inner)));
            }
            Ok(match name.as_str() {
                "Bool" => Type::Bool,
                "Int" => Type::Int,
                "Float" => Type::Float,
                "Text" => Type::Text,
                "Time" => Type::Time,
                "Duration" => Type::Duration,
                "Ratio" => Type::Ratio,
                "Bytes" => Type::Bytes,
                "Rate" => Type::Rate,
                "Json" => Type::Json,
                other => return Err(format!("`schema`: `{other}` is not a type")),
            })
        }
        Json::Array(items) => match items.as_slice() {
            [item] => document_type(item).map(|item| Type::List(Box::new(item))),
            _ => Err("`schema`: a list is written with the type of its elements: [Text]".to_owned()),
        },
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| Ok((name.as_str().into(), document_type(ty)?)))
                .collect::<Result<_, String>>()?;
            Ok(Type::Record(Arc::new(RecordType {
                name: "".into(),
                fields,
            })))
        }
        _ => Err("`schema` is made of types, lists and records".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Contract, Does, Ended};
    use crate::provider::Outcome;
    use crate::value::{Reason, Value};
    use serde_json::json;
    use std::sync::Arc;

    fn contract(text: &str) -> Result<Contract, String> {
        let contract: Contract =
            serde_yaml::from_str(&format!("{{ program: /bin/x, {text} }}")).map_err(|problem| problem.to_string())?;
        contract.validate().map(|()| contract)
    }

    fn words(text: &str, with: serde_json::Value) -> Result<Vec<String>, String> {
        contract(&format!("does: read, arguments: {text}"))
            .unwrap()
            .words(&Value::Json(Arc::new(with)))
            .map_err(|unknown| unknown.detail)
    }

    #[test]
    fn arguments_are_typed_words() {
        let period = "[--json, { name: period, type: Duration, flag: --period, unit: min }]";
        assert_eq!(
            words(period, json!({"period": "1 h"})).unwrap(),
            ["--json", "--period", "60"]
        );
        assert_eq!(
            words(
                "[{ name: t, type: Ratio, flag: --t=, unit: '%' }]",
                json!({"t": "80 %"})
            )
            .unwrap(),
            ["--t=80"]
        );
        assert_eq!(
            words(
                "[{ name: t, type: Duration, unit: min, suffix: m }]",
                json!({"t": "15 min"})
            )
            .unwrap(),
            ["15m"]
        );
        let dry = "[{ name: dry, type: Bool, flag: --dry-run }, { name: most, type: Int, optional: true }]";
        assert_eq!(words(dry, json!({"dry": true, "most": 3})).unwrap(), ["--dry-run", "3"]);
        assert_eq!(words(dry, json!({"dry": false})).unwrap(), Vec::<String>::new());
        let log = "[{ name: log, type: Text, beneath: /var/log/app }]";
        for written in ["a/b.log", "/var/log/app/a/b.log"] {
            assert_eq!(words(log, json!({"log": written})).unwrap(), ["/var/log/app/a/b.log"]);
        }
        for outside in [
            "/var/log/app",
            "/var/log/app/../b.log",
            "/var/log/application/b.log",
            ".",
        ] {
            let problem = words(log, json!({"log": outside})).unwrap_err();
            assert!(
                problem.contains("is not a path below /var/log/app"),
                "{outside}: {problem}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_runs() {
        let text = "[{ name: t, type: Text }]";
        for (declared, given, said) in [
            (text, json!({}), "missing"),
            (text, json!({"t": "--force"}), "hyphen"),
            (text, json!({"t": "a\nb"}), "control character"),
            (text, json!({"t": ""}), "empty"),
            (text, json!({"t": "x", "u": 1}), "knows no argument `u`"),
            (text, json!({"t": {"a": 1}}), "does not fit"),
            (
                "[{ name: t, type: Text, one_of: [a, b] }]",
                json!({"t": "c"}),
                "none of: a, b",
            ),
            (
                "[{ name: t, type: Text, matches: '[a-z]+' }]",
                json!({"t": "a;b"}),
                "match",
            ),
            (
                "[{ name: t, type: Text, beneath: /var }]",
                json!({"t": "../etc"}),
                "path below",
            ),
            (
                "[{ name: t, type: Text, beneath: /var }]",
                json!({"t": "/etc"}),
                "path below",
            ),
            (
                "[{ name: t, type: Int, least: 1, most: 9 }]",
                json!({"t": 10}),
                "outside",
            ),
            ("[{ name: t, type: Duration }]", json!({"t": 5}), "does not fit"),
        ] {
            let problem = words(declared, given.clone()).unwrap_err();
            assert!(problem.contains(said), "{given}: {problem}");
        }
    }

    #[test]
    fn mistakes_in_a_contract_are_named() {
        for (text, said) in [
            ("does: read, program2: x", "program2"),
            ("does: look", "look"),
            ("does: read, within_seconds: 0", "within_seconds"),
            ("does: read, exit: { ok: [0], no: [0] }", "two meanings"),
            ("does: read, repeatable: true", "repeatable"),
            ("does: read, arguments: [{ name: A, type: Text }]", "`A`"),
            ("does: read, arguments: [{ name: a, type: Secret }]", "no type"),
            ("does: read, arguments: [{ name: a, type: Int, unit: s }]", "unit"),
            ("does: read, arguments: [{ name: a, type: Bool }]", "flag"),
            (
                "does: read, arguments: [{ name: a, type: Text, matches: '(' }]",
                "no expression",
            ),
            ("does: read, schema: { a: Int }", "output: json"),
            ("does: read, output: json, schema: { a: Number }", "`Number`"),
            ("does: read, environment: { 'A B': x }", "`A B`"),
            ("does: read, confine: { reads: [etc] }", "absolute"),
        ] {
            let problem = contract(text).map(|_| ()).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn exit_codes_and_output_mean_what_the_contract_says() {
        let checked = contract(
            "does: read, output: json, exit: { ok: [0], no: [1] }, schema: { status: Text, errors: Int, at: Time? }",
        )
        .unwrap();
        let ended = |code: i64, out: &str| Ended {
            code: Some(code),
            out: out.as_bytes().to_vec(),
            confined: "full",
            ..Ended::default()
        };
        let good = r#"{"status": "up", "errors": 0}"#;
        let ok = |ended: &Ended| {
            checked
                .answer(ended)
                .map(|ran| ran.as_record().unwrap().get("ok").unwrap().clone())
        };
        assert_eq!(ok(&ended(0, good)), Ok(Value::Bool(true)));
        assert_eq!(ok(&ended(1, good)), Ok(Value::Bool(false)));
        assert_eq!(ok(&ended(2, good)).unwrap_err().reason, Reason::Unavailable);
        assert_eq!(ok(&ended(0, "")).unwrap_err().reason, Reason::Unparsable);
        let other = ok(&ended(0, r#"{"status": "up", "errors": "many"}"#)).unwrap_err();
        assert!(other.detail.contains("errors"), "{other}");
        let cut = Ended {
            cut: true,
            ..ended(0, good)
        };
        assert_eq!(ok(&cut).unwrap_err().reason, Reason::Truncated);
        let change = contract("does: change, exit: { no: [3] }").unwrap();
        assert!(matches!(change.outcome(&ended(0, "")), Outcome::Done(_)));
        assert!(matches!(change.outcome(&ended(3, "")), Outcome::Failed(_)));
        assert!(matches!(change.outcome(&ended(1, "")), Outcome::Unclear(_)));
        assert!(matches!(change.outcome(&Ended::default()), Outcome::Unclear(_)));
        assert!(change.allows("x", Does::Read, false).is_err());
        assert!(change.allows("x", Does::Change, true).is_err());
        assert!(change.allows("x", Does::Change, false).is_ok());
    }
}
