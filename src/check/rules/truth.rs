//! Truth tables over answers, limits and values: can these conditions hold together?
//!
//! A condition is made of tests on *subjects*. The values of a subject are cut into cells within which no test changes its
//! answer: a question has the cells yes and no; a number has the limits it is compared with and the ranges between them; a
//! value of an enum has one cell each. Trying every combination of cells is then exact.
//!
//! Unknown needs no cell of its own, except where a condition asks `is unknown`: the other operators are monotone in
//! Kleene's logic, so a condition that is a definite yes with an unknown answer stays so whatever that answer is.

use crate::value::Answer;
use std::cell::Cell as Counter;
use std::collections::BTreeMap;

/// Most limits or values on one subject.
pub const CUTS: usize = 12;
/// Most combinations of cells that are tried for one question.
pub const ROWS: usize = 65_536;
/// Most combinations that are tried for all questions about one table; keeps a hostile file from costing minutes.
pub const WORK: u64 = 1_000_000;

/// Index of a subject of a [`Subjects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId(usize);

/// Something that conditions test.
#[derive(Clone, Debug)]
struct Subject {
    /// As the author wrote it: `stuck.count`.
    name: String,
    kind: Kind,
    /// True when a condition asks whether it is unknown.
    unknown: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Answer,
    Number {
        /// Only whole numbers: there is nothing between 4 and 5.
        whole: bool,
        minimum: Option<f64>,
        /// Sorted, without equal ones; the text as the author wrote it.
        cuts: Vec<(f64, String)>,
    },
    Choice {
        values: Vec<String>,
        /// False when there are values that no condition names.
        complete: bool,
    },
}

/// What a subject is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Is,
}

/// A condition over subjects.
#[derive(Clone, Debug)]
pub enum Condition {
    Constant(Answer),
    /// The question is answered yes.
    Yes(SubjectId),
    Compare(SubjectId, Comparison, f64),
    /// The subject is the value of this name.
    Value(SubjectId, String),
    Unknown(SubjectId),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

impl Condition {
    /// The subjects it tests, each once.
    pub fn subjects(&self) -> Vec<SubjectId> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out.sort_unstable();
        out.dedup();
        out
    }

    fn collect(&self, out: &mut Vec<SubjectId>) {
        match self {
            Condition::Constant(_) => {}
            Condition::Yes(id) | Condition::Compare(id, ..) | Condition::Value(id, _) | Condition::Unknown(id) => {
                out.push(*id);
            }
            Condition::Not(inner) => inner.collect(out),
            Condition::And(left, right) | Condition::Or(left, right) => {
                left.collect(out);
                right.collect(out);
            }
        }
    }

    /// True when it compares this subject for equality or by name.
    pub fn tests_points(&self, subject: SubjectId) -> bool {
        match self {
            Condition::Compare(id, Comparison::Is, _) | Condition::Value(id, _) => *id == subject,
            Condition::Not(inner) => inner.tests_points(subject),
            Condition::And(left, right) | Condition::Or(left, right) => {
                left.tests_points(subject) || right.tests_points(subject)
            }
            _ => false,
        }
    }
}

/// A range of values of one subject, within which no test changes its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    Yes,
    No,
    /// The cut of this index itself.
    Point(usize),
    /// Between the cut before this index and the cut of this index; the ends are open.
    Between(usize),
    /// The value of this index; one beyond the last is "another".
    Value(usize),
    Unknown,
}

/// One combination: the cell of each subject that was asked for.
pub type Row = BTreeMap<SubjectId, Cell>;

/// There are too many combinations to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// The subjects of a set of conditions that are compared with one another.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    list: Vec<Subject>,
    keys: BTreeMap<String, SubjectId>,
    work: Counter<u64>,
}

impl Subjects {
    fn intern(&mut self, key: &str, name: &str, kind: Kind) -> SubjectId {
        if let Some(id) = self.keys.get(key) {
            return *id;
        }
        let id = SubjectId(self.list.len());
        self.list.push(Subject {
            name: name.to_owned(),
            kind,
            unknown: false,
        });
        self.keys.insert(key.to_owned(), id);
        id
    }

    /// Something that is yes or no. Equal keys are the same subject; the name is for people.
    pub fn answer(&mut self, key: &str, name: &str) -> SubjectId {
        self.intern(key, name, Kind::Answer)
    }

    /// A number, with the limit it is compared with. `minimum` is the least value it can have.
    pub fn number(
        &mut self,
        key: &str,
        name: &str,
        whole: bool,
        minimum: Option<f64>,
        limit: (f64, &str),
    ) -> SubjectId {
        let id = self.intern(
            key,
            name,
            Kind::Number {
                whole,
                minimum,
                cuts: Vec::new(),
            },
        );
        if let Kind::Number { cuts, .. } = &mut self.list[id.0].kind {
            let at = cuts.partition_point(|(value, _)| *value < limit.0);
            if cuts.get(at).is_none_or(|(value, _)| *value != limit.0) {
                cuts.insert(at, (limit.0, limit.1.to_owned()));
            }
        }
        id
    }

    /// One of several values; `all` lists them when they are known, otherwise there may be others.
    pub fn choice(&mut self, key: &str, name: &str, all: Option<Vec<String>>, value: &str) -> SubjectId {
        let complete = all.is_some();
        let id = self.intern(
            key,
            name,
            Kind::Choice {
                values: all.unwrap_or_default(),
                complete,
            },
        );
        if let Kind::Choice { values, .. } = &mut self.list[id.0].kind
            && !values.iter().any(|known| known == value)
        {
            values.push(value.to_owned());
        }
        id
    }

    /// Notes that somebody asks whether this is unknown.
    pub fn ask_unknown(&mut self, subject: SubjectId) {
        self.list[subject.0].unknown = true;
    }

    /// The name for people.
    pub fn name(&self, subject: SubjectId) -> &str {
        &self.list[subject.0].name
    }

    /// True for a number or a value, false for a question.
    pub fn has_limits(&self, subject: SubjectId) -> bool {
        !matches!(self.list[subject.0].kind, Kind::Answer)
    }

    /// True for a number.
    pub fn is_number(&self, subject: SubjectId) -> bool {
        matches!(self.list[subject.0].kind, Kind::Number { .. })
    }

    /// Every cell of a subject; those of a number from low to high.
    pub fn cells(&self, subject: SubjectId) -> Result<Vec<Cell>, TooMany> {
        let subject = &self.list[subject.0];
        let mut cells = match &subject.kind {
            Kind::Answer => vec![Cell::Yes, Cell::No],
            Kind::Number { whole, minimum, cuts } => {
                if cuts.len() > CUTS {
                    return Err(TooMany);
                }
                let mut cells = Vec::with_capacity(cuts.len() * 2 + 1);
                for index in 0..=cuts.len() {
                    let low = index.checked_sub(1).and_then(|before| cuts.get(before));
                    let high = cuts.get(index);
                    let below = high.is_some_and(|(high, _)| minimum.is_some_and(|minimum| *high <= minimum));
                    let empty = low
                        .zip(high)
                        .is_some_and(|((low, _), (high, _))| *whole && high - low <= 1.0);
                    if !below && !empty {
                        cells.push(Cell::Between(index));
                    }
                    if let Some((value, _)) = high
                        && minimum.is_none_or(|minimum| *value >= minimum)
                    {
                        cells.push(Cell::Point(index));
                    }
                }
                cells
            }
            Kind::Choice { values, complete } => {
                if !complete && values.len() > CUTS {
                    return Err(TooMany);
                }
                let all = if *complete { values.len() } else { values.len() + 1 };
                (0..all).map(Cell::Value).collect()
            }
        };
        if subject.unknown {
            cells.push(Cell::Unknown);
        }
        Ok(cells)
    }

    fn answer_of(&self, condition: &Condition, row: &[Option<Cell>]) -> Answer {
        let definite = |yes: bool| if yes { Answer::Yes } else { Answer::No };
        match condition {
            Condition::Constant(answer) => *answer,
            Condition::Unknown(id) => definite(row[id.0] == Some(Cell::Unknown)),
            Condition::Yes(id) => match row[id.0] {
                Some(Cell::Yes) => Answer::Yes,
                Some(Cell::No) => Answer::No,
                _ => Answer::Unknown,
            },
            Condition::Value(id, value) => match (row[id.0], &self.list[id.0].kind) {
                (Some(Cell::Value(index)), Kind::Choice { values, .. }) => definite(values.get(index) == Some(value)),
                _ => Answer::Unknown,
            },
            Condition::Compare(id, comparison, limit) => match (row[id.0], &self.list[id.0].kind) {
                (Some(cell), Kind::Number { cuts, .. }) => {
                    // A number below the cut of index `cut` lies in a cell whose index is at most `cut`.
                    let cut = cuts.partition_point(|(value, _)| value < limit);
                    let ordering = match cell {
                        Cell::Point(index) => index.cmp(&cut),
                        Cell::Between(index) if index <= cut => std::cmp::Ordering::Less,
                        Cell::Between(_) => std::cmp::Ordering::Greater,
                        _ => return Answer::Unknown,
                    };
                    definite(match comparison {
                        Comparison::Less => ordering.is_lt(),
                        Comparison::LessEqual => ordering.is_le(),
                        Comparison::Greater => ordering.is_gt(),
                        Comparison::GreaterEqual => ordering.is_ge(),
                        Comparison::Is => ordering.is_eq(),
                    })
                }
                _ => Answer::Unknown,
            },
            Condition::Not(inner) => !self.answer_of(inner, row),
            Condition::And(left, right) => match (self.answer_of(left, row), self.answer_of(right, row)) {
                (Answer::No, _) | (_, Answer::No) => Answer::No,
                (Answer::Yes, Answer::Yes) => Answer::Yes,
                _ => Answer::Unknown,
            },
            Condition::Or(left, right) => match (self.answer_of(left, row), self.answer_of(right, row)) {
                (Answer::Yes, _) | (_, Answer::Yes) => Answer::Yes,
                (Answer::No, Answer::No) => Answer::No,
                _ => Answer::Unknown,
            },
        }
    }

    /// A combination in which every condition of `hold` is a definite yes and none of `fail` is; `None` when there is none.
    /// Combinations that lie within a range are found before those on a limit: they make the better example.
    pub fn find(&self, hold: &[&Condition], fail: &[&Condition]) -> Result<Option<Row>, TooMany> {
        self.search(hold, fail, &Row::new())
    }

    /// Like [`Subjects::find`], with the cells of `fixed` given.
    fn search(&self, hold: &[&Condition], fail: &[&Condition], fixed: &Row) -> Result<Option<Row>, TooMany> {
        let mut ids: Vec<SubjectId> = hold
            .iter()
            .chain(fail)
            .flat_map(|condition| condition.subjects())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut axes = Vec::with_capacity(ids.len());
        let mut rows = 1_usize;
        for id in &ids {
            let mut cells = match fixed.get(id) {
                Some(cell) => vec![*cell],
                None => self.cells(*id)?,
            };
            cells.sort_by_key(|cell| matches!(cell, Cell::Point(_)));
            rows = rows.saturating_mul(cells.len());
            axes.push(cells);
        }
        if rows > ROWS {
            return Err(TooMany);
        }
        let mut row: Vec<Option<Cell>> = vec![None; self.list.len()];
        for number in 0..rows {
            self.work.set(self.work.get() + 1);
            if self.work.get() > WORK {
                return Err(TooMany);
            }
            let mut rest = number;
            for (id, cells) in ids.iter().zip(&axes) {
                row[id.0] = Some(cells[rest % cells.len()]);
                rest /= cells.len();
            }
            let holds = hold
                .iter()
                .all(|condition| self.answer_of(condition, &row) == Answer::Yes);
            if holds
                && fail
                    .iter()
                    .all(|condition| self.answer_of(condition, &row) != Answer::Yes)
            {
                return Ok(Some(ids.iter().filter_map(|id| Some((*id, row[id.0]?))).collect()));
            }
        }
        Ok(None)
    }

    /// The cells of a subject in which the condition can hold, whatever the other answers are.
    pub fn projection(&self, condition: &Condition, subject: SubjectId) -> Result<Vec<Cell>, TooMany> {
        let mut out = Vec::new();
        for cell in self.cells(subject)? {
            let fixed = Row::from([(subject, cell)]);
            if self.search(&[condition], &[], &fixed)?.is_some() {
                out.push(cell);
            }
        }
        Ok(out)
    }

    /// A run of neighbouring cells of a number in words: `from 40 to 50`, `above 40 and below 50`, `exactly 50`.
    pub fn range(&self, subject: SubjectId, first: Cell, last: Cell) -> String {
        let Kind::Number { whole, cuts, .. } = &self.list[subject.0].kind else {
            return self.words(subject, first);
        };
        let text = |index: usize| cuts.get(index).map(|(_, text)| text.as_str());
        let low = match first {
            Cell::Point(index) => Some((true, index)),
            Cell::Between(index) => index.checked_sub(1).map(|before| (false, before)),
            _ => None,
        };
        let high = match last {
            Cell::Point(index) => Some((true, index)),
            Cell::Between(index) => text(index).map(|_| (false, index)),
            _ => None,
        };
        // The one whole number between two others is best called by its name.
        if let (Some((false, low)), Some((false, high)), true) = (low, high, *whole)
            && cuts[high].0 - cuts[low].0 == 2.0
        {
            return format!("exactly {}", cuts[low].0 + 1.0);
        }
        match (low, high) {
            (Some((true, low)), Some((true, high))) if low == high => format!("exactly {}", text(low).unwrap_or("?")),
            (Some(low), Some(high)) => {
                let (from, to) = (text(low.1).unwrap_or("?"), text(high.1).unwrap_or("?"));
                match (low.0, high.0) {
                    (true, true) => format!("from {from} to {to}"),
                    (true, false) => format!("from {from} to below {to}"),
                    (false, true) => format!("above {from} up to {to}"),
                    (false, false) => format!("between {from} and {to}"),
                }
            }
            (Some((inclusive, low)), None) => {
                format!(
                    "{} {}",
                    if inclusive { "from" } else { "above" },
                    text(low).unwrap_or("?")
                )
            }
            (None, Some((inclusive, high))) => {
                format!(
                    "{} {}",
                    if inclusive { "up to" } else { "below" },
                    text(high).unwrap_or("?")
                )
            }
            (None, None) => "any value".to_owned(),
        }
    }

    fn words(&self, subject: SubjectId, cell: Cell) -> String {
        match (cell, &self.list[subject.0].kind) {
            (Cell::Yes, _) => "yes".to_owned(),
            (Cell::No, _) => "no".to_owned(),
            (Cell::Unknown, _) => "unknown".to_owned(),
            (Cell::Value(index), Kind::Choice { values, .. }) => match values.get(index) {
                Some(value) => format!("`{value}`"),
                None => "another value".to_owned(),
            },
            (cell, _) => self.range(subject, cell, cell),
        }
    }

    /// A combination in words: "`used` between 80 % and 90 %, `release` yes".
    pub fn example(&self, row: &Row) -> String {
        let parts: Vec<String> = row
            .iter()
            .map(|(id, cell)| format!("`{}` {}", self.name(*id), self.words(*id, *cell)))
            .collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn yes(id: SubjectId) -> Condition {
        Condition::Yes(id)
    }
    fn not(inner: Condition) -> Condition {
        Condition::Not(Box::new(inner))
    }
    fn and(left: Condition, right: Condition) -> Condition {
        Condition::And(Box::new(left), Box::new(right))
    }
    fn or(left: Condition, right: Condition) -> Condition {
        Condition::Or(Box::new(left), Box::new(right))
    }
    fn compare(subjects: &mut Subjects, name: &str, comparison: Comparison, limit: f64) -> Condition {
        let id = subjects.number(name, name, true, None, (limit, &limit.to_string()));
        Condition::Compare(id, comparison, limit)
    }

    #[test]
    fn a_question_and_its_denial_never_hold_together() {
        let mut subjects = Subjects::default();
        let stuck = subjects.answer("stuck", "stuck");
        assert_eq!(subjects.find(&[&and(yes(stuck), not(yes(stuck)))], &[]), Ok(None));
        assert_eq!(subjects.find(&[], &[&or(yes(stuck), not(yes(stuck)))]), Ok(None));
        assert!(subjects.find(&[&yes(stuck)], &[]).unwrap().is_some());
    }

    #[test]
    fn is_unknown_has_a_cell_of_its_own() {
        let mut subjects = Subjects::default();
        let stuck = subjects.answer("stuck", "stuck");
        subjects.ask_unknown(stuck);
        let unknown = Condition::Unknown(stuck);
        assert_eq!(subjects.find(&[&unknown, &yes(stuck)], &[]), Ok(None));
        // With an unknown answer neither the question nor its denial is a definite yes.
        let row = subjects
            .find(&[&unknown], &[&or(yes(stuck), not(yes(stuck)))])
            .unwrap()
            .unwrap();
        assert_eq!(subjects.example(&row), "`stuck` unknown");
    }

    #[test]
    fn limits_are_cut_into_ranges() {
        let mut subjects = Subjects::default();
        let low = compare(&mut subjects, "n", Comparison::Less, 50.0);
        let high = compare(&mut subjects, "n", Comparison::Greater, 40.0);
        let row = subjects.find(&[&low, &high], &[]).unwrap().unwrap();
        assert_eq!(subjects.example(&row), "`n` between 40 and 50");
        let higher = compare(&mut subjects, "n", Comparison::GreaterEqual, 50.0);
        assert_eq!(subjects.find(&[&low, &higher], &[]), Ok(None));
        // Every number above 50 is above 40.
        assert_eq!(subjects.find(&[&higher], &[&high]), Ok(None));
        assert!(subjects.find(&[&high], &[&higher]).unwrap().is_some());
        let exactly = compare(&mut subjects, "n", Comparison::Is, 50.0);
        let row = subjects.find(&[&exactly], &[]).unwrap().unwrap();
        assert_eq!(subjects.example(&row), "`n` exactly 50");
    }

    #[test]
    fn whole_numbers_have_nothing_between_neighbours() {
        let mut subjects = Subjects::default();
        let above = compare(&mut subjects, "n", Comparison::Greater, 4.0);
        let below = compare(&mut subjects, "n", Comparison::Less, 5.0);
        assert_eq!(subjects.find(&[&above, &below], &[]), Ok(None));
        let below = compare(&mut subjects, "n", Comparison::Less, 6.0);
        assert!(subjects.find(&[&above, &below], &[]).unwrap().is_some());
        let mut subjects = Subjects::default();
        let id = subjects.number("r", "r", false, None, (4.0, "4 %"));
        subjects.number("r", "r", false, None, (5.0, "5 %"));
        let between = and(
            Condition::Compare(id, Comparison::Greater, 4.0),
            Condition::Compare(id, Comparison::Less, 5.0),
        );
        let row = subjects.find(&[&between], &[]).unwrap().unwrap();
        assert_eq!(subjects.example(&row), "`r` between 4 % and 5 %");
    }

    #[test]
    fn a_minimum_leaves_nothing_below_it() {
        let mut subjects = Subjects::default();
        let id = subjects.number("c", "xs.count", true, Some(0.0), (0.0, "0"));
        assert_eq!(
            subjects.find(&[&Condition::Compare(id, Comparison::Less, 0.0)], &[]),
            Ok(None)
        );
        let at_least = Condition::Compare(id, Comparison::GreaterEqual, 0.0);
        assert_eq!(subjects.find(&[], &[&at_least]), Ok(None));
        // A limit below the minimum does not remove the values above it.
        subjects.number("c", "xs.count", true, Some(0.0), (-5.0, "-5"));
        assert!(
            subjects
                .find(&[&Condition::Compare(id, Comparison::Greater, 0.0)], &[])
                .unwrap()
                .is_some()
        );
        assert!(
            subjects
                .find(&[&Condition::Compare(id, Comparison::Is, 0.0)], &[])
                .unwrap()
                .is_some()
        );
        assert_eq!(
            subjects.find(&[&Condition::Compare(id, Comparison::Less, -5.0)], &[]),
            Ok(None)
        );
        assert_eq!(
            subjects.find(&[&Condition::Compare(id, Comparison::Less, 0.0)], &[]),
            Ok(None)
        );
    }

    #[test]
    fn values_of_an_enum_are_all_there_is() {
        let mut subjects = Subjects::default();
        let all = || Some(vec!["active".to_owned(), "idle".to_owned()]);
        let state = subjects.choice("s", "state", all(), "active");
        let active = Condition::Value(state, "active".to_owned());
        let idle = Condition::Value(state, "idle".to_owned());
        assert_eq!(subjects.find(&[&active, &idle], &[]), Ok(None));
        assert_eq!(subjects.find(&[], &[&active, &idle]), Ok(None));
        let text = subjects.choice("t", "text", None, "a");
        let row = subjects
            .find(&[], &[&Condition::Value(text, "a".to_owned())])
            .unwrap()
            .unwrap();
        assert_eq!(subjects.example(&row), "`text` another value");
    }

    #[test]
    fn a_projection_names_the_cells_whatever_else_is_answered() {
        let mut subjects = Subjects::default();
        let release = subjects.answer("release", "release");
        let high = compare(&mut subjects, "n", Comparison::Greater, 90.0);
        let low = compare(&mut subjects, "n", Comparison::Less, 80.0);
        let id = high.subjects()[0];
        assert_eq!(subjects.cells(id).unwrap().len(), 5);
        assert_eq!(
            subjects.projection(&and(high, yes(release)), id),
            Ok(vec![Cell::Between(2)])
        );
        assert_eq!(subjects.projection(&low, id), Ok(vec![Cell::Between(0)]));
        assert_eq!(subjects.range(id, Cell::Point(0), Cell::Point(1)), "from 80 to 90");
        assert_eq!(
            subjects.range(id, Cell::Between(1), Cell::Point(1)),
            "above 80 up to 90"
        );
        assert_eq!(
            subjects.range(id, Cell::Point(0), Cell::Between(1)),
            "from 80 to below 90"
        );
    }

    #[test]
    fn limits_are_enforced() {
        let mut subjects = Subjects::default();
        let many: Vec<Condition> = (0..=CUTS)
            .map(|limit| compare(&mut subjects, "n", Comparison::Is, limit as f64 * 10.0))
            .collect();
        assert_eq!(subjects.find(&[&many[0]], &[]), Err(TooMany));
        let mut subjects = Subjects::default();
        let all = (0..17)
            .map(|number| yes(subjects.answer(&number.to_string(), "q")))
            .reduce(and)
            .unwrap();
        assert_eq!(subjects.find(&[&all], &[]), Err(TooMany));
        let mut subjects = Subjects::default();
        let all = (0..16)
            .map(|number| yes(subjects.answer(&number.to_string(), "q")))
            .reduce(and)
            .unwrap();
        assert!(subjects.find(&[&all], &[]).unwrap().is_some());
        let never = and(all.clone(), not(all));
        let spent = (0..100).find_map(|_| subjects.find(&[&never], &[]).err());
        assert_eq!(spent, Some(TooMany));
    }

    /// A condition over two whole numbers and two questions, as a recipe.
    #[derive(Clone, Debug)]
    enum Recipe {
        Yes(usize),
        Compare(usize, Comparison, i8),
        Not(Box<Recipe>),
        And(Box<Recipe>, Box<Recipe>),
        Or(Box<Recipe>, Box<Recipe>),
    }

    impl Recipe {
        fn build(&self, subjects: &mut Subjects) -> Condition {
            match self {
                Recipe::Yes(question) => yes(subjects.answer(&format!("q{question}"), "q")),
                Recipe::Compare(number, comparison, limit) => {
                    compare(subjects, &format!("n{number}"), *comparison, f64::from(*limit))
                }
                Recipe::Not(inner) => not(inner.build(subjects)),
                Recipe::And(left, right) => and(left.build(subjects), right.build(subjects)),
                Recipe::Or(left, right) => or(left.build(subjects), right.build(subjects)),
            }
        }

        fn holds(&self, answers: [bool; 2], numbers: [i8; 2]) -> bool {
            match self {
                Recipe::Yes(question) => answers[*question],
                Recipe::Compare(number, comparison, limit) => {
                    let number = numbers[*number];
                    match comparison {
                        Comparison::Less => number < *limit,
                        Comparison::LessEqual => number <= *limit,
                        Comparison::Greater => number > *limit,
                        Comparison::GreaterEqual => number >= *limit,
                        Comparison::Is => number == *limit,
                    }
                }
                Recipe::Not(inner) => !inner.holds(answers, numbers),
                Recipe::And(left, right) => left.holds(answers, numbers) && right.holds(answers, numbers),
                Recipe::Or(left, right) => left.holds(answers, numbers) || right.holds(answers, numbers),
            }
        }
    }

    fn recipe() -> impl Strategy<Value = Recipe> {
        let comparison = prop_oneof![
            Just(Comparison::Less),
            Just(Comparison::LessEqual),
            Just(Comparison::Greater),
            Just(Comparison::GreaterEqual),
            Just(Comparison::Is),
        ];
        let leaf = prop_oneof![
            (0..2_usize).prop_map(Recipe::Yes),
            (0..2_usize, comparison, -3..=3_i8)
                .prop_map(|(number, comparison, limit)| Recipe::Compare(number, comparison, limit)),
        ];
        leaf.prop_recursive(4, 24, 2, |inner| {
            let both = || (inner.clone(), inner.clone());
            prop_oneof![
                inner.clone().prop_map(|inner| Recipe::Not(Box::new(inner))),
                both().prop_map(|(left, right)| Recipe::And(Box::new(left), Box::new(right))),
                both().prop_map(|(left, right)| Recipe::Or(Box::new(left), Box::new(right))),
            ]
        })
    }

    proptest! {
        /// The table finds a combination exactly when there is one among all numbers about the limits.
        #[test]
        fn the_table_agrees_with_trying_every_number(hold in recipe(), fail in recipe()) {
            let mut subjects = Subjects::default();
            let (held, failed) = (hold.build(&mut subjects), fail.build(&mut subjects));
            let mut there = false;
            for answers in [[false, false], [false, true], [true, false], [true, true]] {
                for first in -5..=5 {
                    for second in -5..=5 {
                        let numbers = [first, second];
                        there |= hold.holds(answers, numbers) && !fail.holds(answers, numbers);
                    }
                }
            }
            prop_assert_eq!(subjects.find(&[&held], &[&failed]).unwrap().is_some(), there);
        }
    }
}
