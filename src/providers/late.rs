//! Series of measurements as clouds hand them out: one point of each period, the newest of which come late.

use crate::value::{Reason, Series, Value};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long after the end of its period a point may come. Both clouds speak of one to three minutes.
const LATE: Duration = Duration::from_mins(3);

/// A series of points in the order of their times, at most one in each period, asked until then. A period between two points
/// that has none is unknown; the newest that are not there yet are no gap.
pub fn series(points: Vec<(Timestamp, Value)>, period: Duration, until: Timestamp) -> Value {
    let length = SignedDuration::try_from(period).unwrap_or(SignedDuration::MAX);
    let mut samples: Vec<(Timestamp, Value)> = Vec::with_capacity(points.len());
    for (time, value) in points {
        if let Some((before, _)) = samples.last()
            && time.duration_since(*before) > length
            && let Ok(missing) = before.checked_add(length)
        {
            let nothing = Value::unknown(
                Reason::Missing,
                "nothing was measured in this period, which is not zero",
            );
            samples.push((missing, nothing));
        }
        samples.push((time, value));
    }
    let step = i64::try_from((period + LATE).as_nanos()).unwrap_or(i64::MAX);
    Value::Series(Arc::new(Series { samples, until, step }))
}

#[cfg(test)]
mod tests {
    use super::series;
    use crate::value::{Reason, Value};
    use jiff::Timestamp;
    use std::time::Duration;

    #[test]
    fn a_period_without_a_point_is_unknown_and_a_late_one_is_no_gap() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let point = |minute| (at(minute), Value::Int(minute));
        let made = series(vec![point(0), point(1), point(4)], Duration::from_mins(1), at(7));
        let Value::Series(made) = made else { panic!("no series") };
        let times: Vec<_> = made.samples.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [at(0), at(1), at(2), at(4)]);
        let reason = made.samples[2].1.as_unknown().map(|unknown| unknown.reason);
        assert_eq!(reason, Some(Reason::Missing));
        assert_eq!((made.until, made.step), (at(7), 240_000_000_000));
    }
}
