//! Schedules as tables: what is read, what is refused in which words, and when they come next.

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

#[test]
fn what_is_no_schedule_is_refused_in_the_words_of_upstream() {
    let check = |text: &str, expect: &str| {
        let told = Schedule::parse(text, &TimeZone::UTC).map_err(|error| error.to_string());
        assert_eq!(told.err().as_deref(), Some(expect), "{text}");
    };
    check("", "empty spec string");
    check("* * *", "expected exactly 5 fields, found 3: [* * *]");
    check("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]");
    check("60 * * * *", "end of range (60) above maximum (59): 60");
    check("* * 0 * *", "beginning of range (0) below minimum (1): 0");
    check("* * * * 7", "end of range (7) above maximum (6): 7");
    check("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1");
    check("1-2-3 * * * *", "too many hyphens: 1-2-3");
    check("1/2/3 * * * *", "too many slashes: 1/2/3");
    check("*/0 * * * *", "step of range should be a positive number: */0");
    check("*/-1 * * * *", "negative number (-1) not allowed: -1");
    check("x * * * *", r#"failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax"#);
    let long = "99999999999999999999";
    let why = format!("failed to parse int from {long}: strconv.Atoi: parsing \"{long}\": value out of range");
    check(&format!("{long} * * * *"), &why);
    check("@often", "unrecognized descriptor: @often");
    check("@every x", r#"failed to parse duration @every x: time: invalid duration "x""#);
    check("@every 5", r#"failed to parse duration @every 5: time: missing unit in duration "5""#);
    check("@every 5d", r#"failed to parse duration @every 5d: time: unknown unit "d" in duration "5d""#);
    check("TZ=Mars/Base * * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base");
}

#[test]
fn times_come_next_as_fields_say() {
    let check = |text: &str, after: &str, expect: &str| {
        let schedule = Schedule::parse(text, &TimeZone::UTC).expect(text);
        assert_eq!(schedule.next(at(after)), Some(at(expect)), "{text} after {after}");
    };
    check("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z");
    check("* * * * *", "2025-12-31T23:59:59.5Z", "2026-01-01T00:00:00Z");
    check("*/15 * * * *", "2026-01-01T00:46:00Z", "2026-01-01T01:00:00Z");
    check("5/20 * * * *", "2026-01-01T00:26:00Z", "2026-01-01T00:45:00Z");
    check("30 6-16/4 * * 1-5", "2026-01-02T14:30:00Z", "2026-01-05T06:30:00Z");
    check("0 0 * feb MON,thu", "2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z");
    check("0 0 29 2 ?", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
    // Either of the two, where both are given.
    check("0 0 13 * fri", "2026-01-03T00:00:00Z", "2026-01-09T00:00:00Z");
    check("0 0 13 * fri", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z");
    // Both, where one has a star; a star with a step says something.
    check("0 0 */2 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    check("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    check("@monthly", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z");
    check("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
    check("@midnight", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    check("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z");
    check("@every 1h30m", "2026-01-01T00:00:00.7Z", "2026-01-01T01:30:00Z");
    check("@every 1.5s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    check("@every 10ms", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z");
    check("TZ=Europe/Berlin 0 6 * * *", "2026-01-01T00:00:00Z", "2026-01-01T05:00:00Z");
    let never = Schedule::parse("59 23 31 2 *", &TimeZone::UTC).expect("fields that are sound");
    assert_eq!(never.next(at("2026-01-01T00:00:00Z")), None);
}

#[test]
fn clocks_that_change_skip_times_and_repeat_them() {
    let check = |text: &str, name: &str, after: &str, expect: &str| {
        let schedule = Schedule::parse(text, &zone(name).expect(name)).expect(text);
        assert_eq!(schedule.next(at(after)), Some(at(expect)), "{text} in {name} after {after}");
    };
    let york = "America/New_York";
    // 8 March 2026: 02:00 is 03:00. What is skipped waits for the next day.
    check("30 2 * * *", york, "2026-03-08T05:00:00Z", "2026-03-09T06:30:00Z");
    check("0 * * * *", york, "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z");
    check("0 3 * * *", york, "2026-03-08T05:00:00Z", "2026-03-08T07:00:00Z");
    // 1 November 2026: 01:00 comes twice.
    check("30 1 * * *", york, "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z");
    check("30 1 * * *", york, "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z");
    check("30 1 * * *", york, "2026-11-01T06:30:00Z", "2026-11-02T06:30:00Z");
    // Before and after the change, the same hour of the clock is another of UTC.
    check("0 12 * * *", york, "2026-03-07T12:00:00Z", "2026-03-07T17:00:00Z");
    check("0 12 * * *", york, "2026-03-08T12:00:00Z", "2026-03-08T16:00:00Z");
    // A day that begins at one o'clock.
    check("30 1 * * *", "Africa/Cairo", "2026-04-23T20:00:00Z", "2026-04-23T22:30:00Z");
    check("30 0 * * *", "Africa/Cairo", "2026-04-23T20:00:00Z", "2026-04-24T21:30:00Z");
}

#[test]
fn zones_are_known_by_their_exact_names() {
    for (name, known) in [("Europe/Berlin", true), ("UTC", true), ("europe/berlin", false), ("Mars/Base", false)] {
        assert_eq!(zone(name).is_some(), known, "{name}");
    }
}
