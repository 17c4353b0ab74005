//! EDN's numbers.

use crate::formats::form::Form;

/// `12`, `-3N`, `1.5`, `1.5M`, `6e3`, `0x1f`; a ratio such as `1/3` becomes a string.
pub(super) fn read(token: &str) -> Option<Form> {
    if let Some(number) = small(token) {
        return Some(Form::Int(number));
    }
    let (negative, digits) = match token.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, token.strip_prefix('+').unwrap_or(token)),
    };
    let sign = if negative { "-" } else { "" };
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let all_hex = hex.bytes().all(|b| b.is_ascii_hexdigit());
        let value = i64::from_str_radix(hex, 16).ok().filter(|_| all_hex)?;
        return Some(Form::Int(if negative { -value } else { value }));
    }
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((above, below)) = digits.split_once('/') {
        let ratio = all_digits(above) && all_digits(below);
        return ratio.then(|| Form::Text(token.into()));
    }
    let whole = digits.strip_suffix('N').unwrap_or(digits);
    if all_digits(whole) {
        let trimmed = whole.trim_start_matches('0');
        let text = format!("{sign}{}", if trimmed.is_empty() { "0" } else { trimmed });
        return Some(text.parse().map_or(Form::Number(text), Form::Int));
    }
    let decimal = digits.strip_suffix('M').unwrap_or(digits);
    let (mantissa, exponent) = match decimal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (decimal, None),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_digits = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
    let well_formed = all_digits(whole)
        && (part.is_empty() || all_digits(part))
        && exponent_digits.is_none_or(all_digits);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let part = if part.is_empty() { "0" } else { part };
    let exponent = exponent.map_or(String::new(), |e| format!("e{e}"));
    well_formed.then(|| Form::Number(format!("{sign}{whole}.{part}{exponent}")))
}

/// A whole number of up to 18 plain digits, which most numbers of a history are.
fn small(token: &str) -> Option<i64> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.len() > 18 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0, |size, digit| size * 10 + i64::from(digit - b'0'));
    Some(if digits.len() < token.len() { -size } else { size })
}
