//! Units of quantities. The table is the whole truth: a unit that is not here does not exist.

use super::Value;
use super::types::Type;

/// A unit: how it is written, what it measures, and how many base units it is.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    pub name: &'static str,
    pub dimension: Dimension,
    /// In nanoseconds, parts of one, bytes, or per second.
    pub factor: f64,
}

/// What a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    Duration,
    Ratio,
    Bytes,
    Rate,
}

const SECOND: f64 = 1e9;

/// Every unit. `m` is deliberately absent: it would be minutes to one reader and mebibytes or milli to another.
pub const UNITS: &[Unit] = &[
    Unit {
        name: "ns",
        dimension: Dimension::Duration,
        factor: 1.0,
    },
    Unit {
        name: "us",
        dimension: Dimension::Duration,
        factor: 1e3,
    },
    Unit {
        name: "ms",
        dimension: Dimension::Duration,
        factor: 1e6,
    },
    Unit {
        name: "s",
        dimension: Dimension::Duration,
        factor: SECOND,
    },
    Unit {
        name: "min",
        dimension: Dimension::Duration,
        factor: 60.0 * SECOND,
    },
    Unit {
        name: "h",
        dimension: Dimension::Duration,
        factor: 3600.0 * SECOND,
    },
    Unit {
        name: "d",
        dimension: Dimension::Duration,
        factor: 86400.0 * SECOND,
    },
    Unit {
        name: "%",
        dimension: Dimension::Ratio,
        factor: 0.01,
    },
    Unit {
        name: "B",
        dimension: Dimension::Bytes,
        factor: 1.0,
    },
    Unit {
        name: "kB",
        dimension: Dimension::Bytes,
        factor: 1e3,
    },
    Unit {
        name: "MB",
        dimension: Dimension::Bytes,
        factor: 1e6,
    },
    Unit {
        name: "GB",
        dimension: Dimension::Bytes,
        factor: 1e9,
    },
    Unit {
        name: "TB",
        dimension: Dimension::Bytes,
        factor: 1e12,
    },
    Unit {
        name: "Ki",
        dimension: Dimension::Bytes,
        factor: 1024.0,
    },
    Unit {
        name: "Mi",
        dimension: Dimension::Bytes,
        factor: 1_048_576.0,
    },
    Unit {
        name: "Gi",
        dimension: Dimension::Bytes,
        factor: 1_073_741_824.0,
    },
    Unit {
        name: "Ti",
        dimension: Dimension::Bytes,
        factor: 1_099_511_627_776.0,
    },
    Unit {
        name: "/s",
        dimension: Dimension::Rate,
        factor: 1.0,
    },
    Unit {
        name: "/min",
        dimension: Dimension::Rate,
        factor: 1.0 / 60.0,
    },
    Unit {
        name: "/h",
        dimension: Dimension::Rate,
        factor: 1.0 / 3600.0,
    },
];

impl Unit {
    /// The unit written like this, exactly.
    pub fn find(name: &str) -> Option<&'static Unit> {
        UNITS.iter().find(|unit| unit.name == name)
    }

    /// The type of a quantity in this unit.
    pub fn ty(&self) -> Type {
        match self.dimension {
            Dimension::Duration => Type::Duration,
            Dimension::Ratio => Type::Ratio,
            Dimension::Bytes => Type::Bytes,
            Dimension::Rate => Type::Rate,
        }
    }

    /// The value of `number` of this unit; `None` when it leaves the range of the type.
    pub fn value(&self, number: f64) -> Option<Value> {
        let base = number * self.factor;
        if !base.is_finite() {
            return None;
        }
        let whole = || -> Option<i64> {
            let rounded = base.round();
            // 2^63 as a float; values at or beyond it do not fit.
            (rounded.abs() < 9_223_372_036_854_775_808.0).then_some(rounded as i64)
        };
        match self.dimension {
            Dimension::Duration => whole().map(Value::Duration),
            Dimension::Bytes => whole().map(Value::Bytes),
            Dimension::Ratio => Some(Value::Ratio(base)),
            Dimension::Rate => Some(Value::Rate(base)),
        }
    }
}

/// The unit a stranger most likely meant: `m` and `minutes` are `min`, `sec` is `s`, `GiB` is `Gi`.
pub fn nearest(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let found = match lower.as_str() {
        "m" | "mins" | "minute" | "minutes" => "min",
        "sec" | "secs" | "second" | "seconds" => "s",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "msec" | "millis" | "milliseconds" | "millisecond" => "ms",
        "usec" | "microseconds" => "us",
        "k" | "kib" => "Ki",
        "mib" => "Mi",
        "g" | "gib" => "Gi",
        "t" | "tib" => "Ti",
        "kb" => "kB",
        "mb" => "MB",
        "gb" => "GB",
        "tb" => "TB",
        "byte" | "bytes" => "B",
        "percent" | "pct" => "%",
        "rps" | "qps" | "ps" | "/sec" => "/s",
        _ => {
            return UNITS
                .iter()
                .find(|unit| unit.name.eq_ignore_ascii_case(name))
                .map(|unit| unit.name);
        }
    };
    Some(found)
}
