//! Moments as people write them, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment of the calendar, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    year: u64,
    month: u64,
    day: u64,
    millis_of_day: u64,
}

impl Moment {
    /// Now, by the machine's clock. For names of folders and for people, never for ordering.
    pub fn now() -> Moment {
        Moment::of(SystemTime::now())
    }

    /// A moment of the machine's clock, such as a file's.
    pub fn of(moment: SystemTime) -> Moment {
        let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment::of_unix_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn of_unix_ms(unix_ms: u64) -> Moment {
        const DAY_MS: u64 = 86_400_000;
        // Days since 1 March of year 0, in eras of 400 years; a year that begins in March has its
        // leap day last.
        let days = unix_ms / DAY_MS + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Moment {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
            millis_of_day: unix_ms % DAY_MS,
        }
    }

    /// For a folder's name, in an order that `ls` keeps: `20261121T102509.042Z`.
    pub fn for_folder(self) -> String {
        let (h, m, s, ms) = self.clock();
        let Moment { year, month, day, .. } = self;
        format!("{year:04}{month:02}{day:02}T{h:02}{m:02}{s:02}.{ms:03}Z")
    }

    /// The moment that [`Moment::for_folder`] made a name of.
    pub fn of_folder(name: &str) -> Option<Moment> {
        let (day, time) = name.strip_suffix('Z')?.split_once('T')?;
        let (time, millis) = time.split_once('.')?;
        if (day.len(), time.len(), millis.len()) != (8, 6, 3) {
            return None;
        }
        let number = |text: Option<&str>| -> Option<u64> {
            let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            text.parse().ok()
        };
        let (h, m, s) = (number(time.get(..2))?, number(time.get(2..4))?, number(time.get(4..))?);
        Some(Moment {
            year: number(day.get(..4))?,
            month: number(day.get(4..6))?,
            day: number(day.get(6..))?,
            millis_of_day: ((h * 60 + m) * 60 + s) * 1_000 + number(Some(millis))?,
        })
    }

    /// RFC 3339: `2026-11-21T10:25:09Z`.
    pub fn rfc3339(self) -> String {
        let (h, m, s, _) = self.clock();
        let Moment { year, month, day, .. } = self;
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    }

    fn clock(self) -> (u64, u64, u64, u64) {
        let ms = self.millis_of_day;
        (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59Z"),
            (1_709_251_200_000, "2024-03-01T00:00:00Z"),
            (1_795_256_709_000, "2026-11-21T10:25:09Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ];
        for (unix_ms, expected) in rows {
            assert_eq!(Moment::of_unix_ms(unix_ms).rfc3339(), expected);
        }
        let moment = Moment::of_unix_ms(1_795_256_709_042);
        assert_eq!(moment.for_folder(), "20261121T102509.042Z");
        assert_eq!(Moment::of_folder("20261121T102509.042Z"), Some(moment));
        for name in ["", "nightly", "20261121T102509.042", "2026é121T10250.042Z", "+0261121T1Z"] {
            assert_eq!(Moment::of_folder(name), None, "{name}");
        }
    }
}
