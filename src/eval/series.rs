//! Samples over time. A sample counts until the next one, at most one step long: beyond that lies a gap, and nobody knows.

use super::limits::SERIES_SAMPLES;
use super::machine::{Truth, lift, missing};
use super::number::{self, magnitude, quantity};
use crate::value::{Reason, Series, Value};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// Of a series that is constant, without a beginning.
pub(super) const ALWAYS: i64 = i64::MAX;

/// Every sample changed alike.
pub(super) fn map(samples: &Series, change: impl Fn(&Value) -> Value) -> Value {
    Value::Series(Arc::new(Series {
        samples: samples
            .samples
            .iter()
            .map(|(time, value)| (*time, change(value)))
            .collect(),
        until: samples.until,
        step: samples.step,
    }))
}

/// Two values of which at least one is a series, put together sample by sample. A single value counts at all times; of two
/// series the times of both are used, and where one of them has a gap the result is unknown.
pub(super) fn pointwise(left: &Value, right: &Value, join: &dyn Fn(&Value, &Value) -> Value) -> Value {
    match (left, right) {
        (Value::Series(a), Value::Series(b)) => {
            if a.samples.len() + b.samples.len() > SERIES_SAMPLES {
                return Value::unknown(
                    Reason::Truncated,
                    format!("the series have more than {SERIES_SAMPLES} samples"),
                );
            }
            let mut times: Vec<Timestamp> = a.samples.iter().chain(&b.samples).map(|(time, _)| *time).collect();
            times.sort_unstable();
            times.dedup();
            let (Some(begin_a), Some(begin_b)) = (a.samples.first(), b.samples.first()) else {
                return Value::unknown(Reason::Unsettled, "a series has no samples");
            };
            // Before both have begun there is nothing to put together.
            let begin = begin_a.0.max(begin_b.0);
            let samples = times
                .into_iter()
                .filter(|time| *time >= begin)
                .map(|time| (time, join(&at(a, time), &at(b, time))))
                .collect();
            Value::Series(Arc::new(Series {
                samples,
                until: a.until.min(b.until),
                step: a.step.max(b.step),
            }))
        }
        (Value::Series(samples), other) => map(samples, |sample| join(sample, other)),
        (other, Value::Series(samples)) => map(samples, |sample| join(other, sample)),
        _ => Value::unknown(Reason::Internal, "neither is a series"),
    }
}

/// The value that counts at a time.
fn at(samples: &Series, time: Timestamp) -> Value {
    let after = samples.samples.partition_point(|(sample, _)| *sample <= time);
    match after.checked_sub(1).map(|last| &samples.samples[last]) {
        Some((sample, value)) if nanoseconds(time.duration_since(*sample)) <= samples.step => value.clone(),
        _ => gap(),
    }
}

fn gap() -> Value {
    Value::unknown(Reason::Unsettled, "the series has a gap")
}

fn nanoseconds(span: SignedDuration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(if span.is_negative() { i64::MIN } else { i64::MAX })
}

fn before(time: Timestamp, duration: i64) -> Option<Timestamp> {
    time.checked_sub(SignedDuration::from_nanos(duration)).ok()
}

/// The samples that cover the last `duration` without a gap: the one that counts at its beginning, and those within it.
fn window(samples: &Series, duration: i64, now: Timestamp) -> Result<&[(Timestamp, Value)], Value> {
    let Some(start) = before(now, duration) else {
        return Err(Value::unknown(Reason::Arithmetic, "the time lies too far back"));
    };
    let all = &samples.samples;
    let until = samples.until.max(all.last().map_or(samples.until, |(time, _)| *time));
    if nanoseconds(now.duration_since(until)) > samples.step {
        return Err(Value::unknown(Reason::Unsettled, "the newest sample is too old"));
    }
    let end = all.partition_point(|(time, _)| *time <= now);
    let Some(first) = all[..end].partition_point(|(time, _)| *time <= start).checked_sub(1) else {
        return Err(Value::unknown(
            Reason::Unsettled,
            "the series does not reach back far enough",
        ));
    };
    let part = &all[first..end];
    let newest = part.last().map_or(start, |(time, _)| *time);
    let vouched = until.min(now);
    let gaps = part
        .windows(2)
        .any(|pair| nanoseconds(pair[1].0.duration_since(pair[0].0)) > samples.step)
        || nanoseconds(vouched.duration_since(newest)) > samples.step;
    if gaps {
        return Err(gap());
    }
    Ok(part)
}

/// `C for D` over the answers of a condition: yes if it held throughout the last `duration`, no if it failed throughout,
/// otherwise unknown.
pub(super) fn held(answers: &Series, duration: i64, now: Timestamp) -> Value {
    if duration < 0 {
        return Value::unknown(Reason::Arithmetic, "a duration is not negative");
    }
    let part = match window(answers, duration, now) {
        Ok(part) => part,
        Err(unknown) => return unknown,
    };
    let mut yes = false;
    let mut no = false;
    let mut unknown = None;
    for (_, answer) in part {
        match Truth::of(answer) {
            Truth::Known(true) => yes = true,
            Truth::Known(false) => no = true,
            Truth::Unknown(reason) => unknown = unknown.or(Some(reason)),
            Truth::Series(_) => return Value::unknown(Reason::Internal, "a series inside a series"),
        }
    }
    match (yes, no, unknown) {
        (true, true, _) => Value::unknown(Reason::Unsettled, "it changed during that time"),
        (_, _, Some(unknown)) => Value::Unknown(unknown),
        (true, false, None) => Value::Bool(true),
        (false, true, None) => Value::Bool(false),
        (false, false, None) => gap(),
    }
}

/// Since when the newest answer has been what it is, in nanoseconds before `now`; `None` when it is unknown or too old, and
/// [`ALWAYS`] where it never was another.
pub(super) fn since(answers: &Series, now: Timestamp) -> Option<i64> {
    let end = answers.samples.partition_point(|(time, _)| *time <= now);
    let known = |value: &Value| match Truth::of(value) {
        Truth::Known(known) => Some(known),
        _ => None,
    };
    let mut later = answers.samples[..end].last()?.0;
    if nanoseconds(now.duration_since(answers.until.max(later))) > answers.step {
        return None;
    }
    let newest = known(&answers.samples[end - 1].1)?;
    for (time, value) in answers.samples[..end].iter().rev() {
        if known(value) != Some(newest) || nanoseconds(later.duration_since(*time)) > answers.step {
            break;
        }
        later = *time;
    }
    if answers.step == i64::MAX && later <= Timestamp::UNIX_EPOCH {
        return Some(ALWAYS);
    }
    Some(nanoseconds(now.duration_since(later)))
}

/// The newest value, if it is not too old.
pub(super) fn newest(samples: &Series, now: Timestamp) -> Value {
    match window(samples, 0, now) {
        Ok(part) => part.last().map_or_else(gap, |(_, value)| value.clone()),
        Err(unknown) => unknown,
    }
}

/// A straight line through the samples of a window (least squares).
struct Line {
    /// In base units per second.
    slope: f64,
    /// At the time of asking.
    value: f64,
    like: Value,
}

fn line(part: &[(Timestamp, Value)], now: Timestamp) -> Result<Line, Value> {
    let mut points = Vec::with_capacity(part.len());
    let mut like = None;
    for (time, value) in part {
        let value = lift(value);
        let Some(number) = magnitude(&value) else {
            return Err(match value {
                Value::Unknown(_) => value,
                _ => Value::unknown(Reason::Unparsable, "the samples are not numbers"),
            });
        };
        points.push((nanoseconds(time.duration_since(now)) as f64 / 1e9, number));
        like.get_or_insert(value);
    }
    let (Some(like), true) = (like, points.len() >= 2) else {
        return Err(Value::unknown(Reason::Unsettled, "a trend needs two samples"));
    };
    let count = points.len() as f64;
    let middle = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = points.iter().map(|(x, _)| (x - middle).powi(2)).sum();
    if spread == 0.0 {
        return Err(Value::unknown(Reason::Unsettled, "a trend needs samples at two times"));
    }
    let slope = points.iter().map(|(x, y)| (x - middle) * (y - mean)).sum::<f64>() / spread;
    Ok(Line {
        slope,
        value: mean - slope * middle,
        like,
    })
}

fn duration(value: Option<&Value>) -> Result<i64, Value> {
    match value {
        Some(Value::Duration(span)) if *span > 0 => Ok(*span),
        Some(Value::Duration(_)) => Err(Value::unknown(Reason::Arithmetic, "a time span is more than zero")),
        Some(Value::Unknown(unknown)) => Err(Value::Unknown(unknown.clone())),
        _ => Err(Value::unknown(Reason::Internal, "a duration is needed")),
    }
}

/// `slope(over: D)`: in units per second.
pub(super) fn slope(samples: &Series, over: Option<&Value>, now: Timestamp) -> Value {
    let found = duration(over)
        .and_then(|over| window(samples, over, now))
        .and_then(|part| line(part, now));
    match found {
        Ok(line) => Value::rate(line.slope),
        Err(unknown) => unknown,
    }
}

/// `change(against: D)`: the newest value against the one that long ago, as a share of that one.
pub(super) fn change(samples: &Series, against: Option<&Value>, now: Timestamp) -> Value {
    let ago = match duration(against) {
        Ok(ago) => ago,
        Err(unknown) => return unknown,
    };
    let Some(then) = before(now, ago) else {
        return Value::unknown(Reason::Arithmetic, "the time lies too far back");
    };
    let (new, old) = (lift(&newest(samples, now)), lift(&at(samples, then)));
    for side in [&new, &old] {
        if let Value::Unknown(_) = side {
            return side.clone();
        }
    }
    match (magnitude(&new), magnitude(&old)) {
        (Some(_), Some(0.0)) => Value::unknown(Reason::Arithmetic, "division by zero"),
        (Some(new), Some(old)) => Value::ratio((new - old) / old.abs()),
        _ => Value::unknown(Reason::Unparsable, "the samples are not numbers"),
    }
}

/// `reaches(limit[, over: D])`: how long until the straight line through the samples meets the limit. Zero when the newest
/// value is there; the longest duration there is when the line leads away from it.
pub(super) fn reaches(samples: &Series, limit: Option<&Value>, over: Option<&Value>, now: Timestamp) -> Value {
    let part = match over {
        Some(over) => duration(Some(over)).and_then(|over| window(samples, over, now)),
        None => match samples.samples.first() {
            Some((first, _)) => window(samples, nanoseconds(now.duration_since(*first)).max(0), now),
            None => Err(Value::unknown(Reason::Unsettled, "the series has no samples")),
        },
    };
    let limit = match limit.map(lift) {
        Some(unknown @ Value::Unknown(_)) => return unknown,
        Some(Value::None) | None => return Value::Unknown(missing("there is no limit")),
        Some(limit) => limit,
    };
    let line = match part.and_then(|part| line(part, now)) {
        Ok(line) => line,
        Err(unknown) => return unknown,
    };
    if number::order(&line.like, &limit).is_none() {
        return Value::unknown(Reason::Unparsable, "the limit is of another kind than the samples");
    }
    let Some(limit) = magnitude(&limit) else {
        return Value::unknown(Reason::Unparsable, "the limit is not a number");
    };
    let distance = limit - line.value;
    if distance == 0.0 {
        return Value::Duration(0);
    }
    let seconds = distance / line.slope;
    if line.slope == 0.0 || seconds < 0.0 {
        return Value::Duration(i64::MAX);
    }
    match quantity(seconds * 1e9, &Value::Duration(0)) {
        Value::Unknown(_) => Value::Duration(i64::MAX),
        span => span,
    }
}
