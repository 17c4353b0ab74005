//! Numbers as JSON writes them, brought to one canonical decimal text.
//!
//! Two texts are the same number exactly when their canonical forms are equal. Nothing is expanded
//! by its exponent beyond a few dozen digits, so `1e999999999` costs as little as `1`.

use crate::Value;

/// Up to this many zeros are written out; beyond them the canonical form has an exponent.
const ZEROS_MAX: i128 = 40;

/// Digits of an exponent beyond which a number is refused.
const EXPONENT_DIGITS_MAX: usize = 30;

/// The value of `text`, which must follow JSON's grammar of numbers.
///
/// Errors with a sentence when the exponent itself has more than 30 digits. O(length).
pub(crate) fn canonical(text: &str) -> Result<Value, String> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (rest, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = String::with_capacity(whole.len() + fraction.len());
    digits.push_str(whole);
    digits.push_str(fraction);
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(Value::Int(0));
    }
    let trimmed = significant.trim_end_matches('0');
    let zeros = significant.len() - trimmed.len();
    let scale = parse_exponent(exponent)? - fraction.len() as i128 + zeros as i128;
    Ok(whole_number(negative, trimmed, scale)
        .unwrap_or_else(|| Value::Number(decimal(negative, trimmed, scale).into())))
}

/// An exponent's value, sign included.
fn parse_exponent(text: &str) -> Result<i128, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.trim_start_matches('0');
    if digits.len() > EXPONENT_DIGITS_MAX {
        return Err(format!("the number's exponent has more than {EXPONENT_DIGITS_MAX} digits"));
    }
    let size = digits.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    Ok(if negative { -size } else { size })
}

/// The number as an `i64`, if it is one.
fn whole_number(negative: bool, digits: &str, scale: i128) -> Option<Value> {
    if scale < 0 || digits.len() as i128 + scale > 19 {
        return None;
    }
    let size = digits.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    let size = size * 10_i128.pow(u32::try_from(scale).ok()?);
    i64::try_from(if negative { -size } else { size }).ok().map(Value::Int)
}

/// `digits` × 10^`scale`, where `digits` neither begins nor ends with a zero.
fn decimal(negative: bool, digits: &str, scale: i128) -> String {
    let sign = if negative { "-" } else { "" };
    if !(-ZEROS_MAX..=ZEROS_MAX).contains(&scale) {
        return format!("{sign}{digits}e{scale}");
    }
    if scale >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(scale as usize));
    }
    let places = scale.unsigned_abs() as usize;
    if digits.len() > places {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        format!("{sign}{whole}.{fraction}")
    } else {
        format!("{sign}0.{}{digits}", "0".repeat(places - digits.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn texts_of_one_number_have_one_form() {
        for (texts, form) in [
            (&["0", "-0", "0.0", "0e99", "-0E-999999999999"][..], "0"),
            (&["1.50", "15e-1", "1.5", "0.15E+1", "150e-2"], "1.5"),
            (&["1000", "1e3", "1.000e+3", "10000e-1"], "1000"),
            (&["9223372036854775807"], "9223372036854775807"),
            (&["-9223372036854775808"], "-9223372036854775808"),
            (&["9223372036854775808", "9223372036854775808.0"], "9223372036854775808"),
            (&["100000000000000000000", "1e20", "10e19"], "100000000000000000000"),
            (&["1e999999999", "10e999999998", "0.1e1000000000"], "1e999999999"),
            (&["-1e-999999999", "-0.01e-999999997"], "-1e-999999999"),
            (&["0.00015", "15e-5"], "0.00015"),
            (&["1e-41"], "1e-41"),
        ] {
            for text in texts {
                assert_eq!(canonical(text).unwrap().to_string(), form, "{text}");
            }
        }
    }

    #[test]
    fn an_exponent_of_absurd_length_is_refused_not_rounded() {
        assert!(canonical(&format!("1e{}", "9".repeat(31))).is_err());
        assert!(canonical(&format!("1e{}7", "0".repeat(100))).is_ok());
    }
}
