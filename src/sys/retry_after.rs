//! How long an HTTP answer asks to be left alone: the header `Retry-After` (RFC 9110, 10.2.3; SAFETY C9). Pure; read by
//! both HTTP clients. A header that cannot be read is as good as none, and no header can ask for more than a minute.

use crate::types::Nanos;
use crate::types::limits::RETRY_AFTER_MAX_MS;

/// What stood in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// So long after the answer, ms.
    Wait(u64),
    /// Until then, by the server's clock.
    Until(Nanos),
}

impl RetryAfter {
    /// Reads seconds or a date of the preferred form, `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn read(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // More than a number holds is more than is heeded.
            return Some(Self::Wait(text.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1_000)));
        }
        date(text).map(Self::Until)
    }

    /// How long to wait from `now` on, ms: at most [`RETRY_AFTER_MAX_MS`], and nothing for a date that is over.
    pub fn wait_ms(self, now: Nanos) -> u64 {
        let wanted = match self {
            Self::Wait(ms) => ms,
            Self::Until(at) => at.ms_since(now),
        };
        wanted.min(RETRY_AFTER_MAX_MS)
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The day of the week is not looked at.
fn date(text: &str) -> Option<Nanos> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day = number(words.next()?, 1..=31)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year = number(words.next()?, 1970..=9999)?;
    let mut time = words.next()?.split(':');
    let (hour, minute) = (number(time.next()?, 0..=23)?, number(time.next()?, 0..=59)?);
    let second = number(time.next()?, 0..=60)?;
    let whole = words.next() == Some("GMT") && words.next().is_none() && time.next().is_none();
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    whole.then(|| Nanos(seconds.saturating_mul(1_000_000_000)))
}

fn number(text: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that the leap day is their last.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - (month <= 2) as u64;
    let march = (month + 9) % 12;
    let of_year = (153 * march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_ms(header: &str, now_s: u64) -> Option<u64> {
        RetryAfter::read(header.as_bytes()).map(|told| told.wait_ms(Nanos::from_ms(now_s * 1_000)))
    }

    #[test]
    fn seconds_and_dates_are_heeded_for_a_minute_at_most() {
        // 784111777 s is the moment of the RFC's own example.
        for (header, now_s, ms) in [
            ("7", 0, 7_000),
            (" 0 ", 0, 0),
            ("61", 0, RETRY_AFTER_MAX_MS),
            ("99999999999999999999999", 0, RETRY_AFTER_MAX_MS),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_770, 7_000),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777, 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 1_800_000_000, 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 1_800_000_000, RETRY_AFTER_MAX_MS),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_395, 5_000),
            ("Thu, 01 Mar 2001 00:00:00 GMT", 983_404_795, 5_000),
        ] {
            assert_eq!(wait_ms(header, now_s), Some(ms), "{header}");
        }
    }

    #[test]
    fn what_is_neither_is_as_good_as_none() {
        for header in [
            "",
            "-1",
            "+1",
            "1.5",
            "soon",
            "Sun, 06 Nov 1994",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Non 1994 08:49:37 GMT",
            "Sun, 06 Nov 1969 08:49:37 GMT",
            "Sun, 06 Nov 99999999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT now",
        ] {
            assert_eq!(wait_ms(header, 0), None, "{header}");
        }
        assert_eq!(RetryAfter::read(b"\xff7"), None);
    }
}
