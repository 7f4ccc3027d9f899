//! Reading stage, pure: what the text of a scalar means. It means what it means to `kubectl`, which follows YAML 1.1:
//! `no` is false, `012` is ten. Whatever else it meant here, the API server would be sent something different.

use serde_json::Number;

/// A scalar's meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(Number),
    /// A text.
    Text(String),
}

impl Scalar {
    /// What the value is called for people.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
        }
    }

    /// The text that the scalar becomes as a map's key; `None` when it can't be one.
    pub fn into_key(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(value) => Some(value.to_string()),
            Self::Text(text) => Some(text),
        }
    }
}

/// The value is infinite or no number at all, which JSON can't say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotFinite;

/// The meaning of a scalar that is written without quotes and without a tag.
pub fn plain(text: &str) -> Result<Scalar, NotFinite> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Err(NotFinite),
        _ => number(text).map_or_else(|| Scalar::Text(text.into()), Scalar::Number),
    })
}

fn number(text: &str) -> Option<Number> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return float(text);
    }
    if !(first.is_ascii_digit() || first == b'+' || first == b'-') {
        return None;
    }
    let text = text.replace('_', "");
    integer(&text).or_else(|| float(&text))
}

/// Go's `strconv.ParseInt` with base 0, signed or unsigned.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (radix, digits) = match prefix.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // The sign was taken off: a second one is no part of a number.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from)).ok()
}

fn float(text: &str) -> Option<Number> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let value = text.parse::<f64>().ok().filter(|value| is_decimal && value.is_finite())?;
    from_float(value)
}

/// A whole number stays one, whatever it is written like: `2.0` is what `2` is.
fn from_float(value: f64) -> Option<Number> {
    if value.fract() == 0.0 {
        // Written without an exponent or a fraction, which is how it is sent.
        let digits = format!("{value:.0}");
        if let Some(number) = digits.parse::<i64>().ok().map(Number::from) {
            return Some(number);
        }
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl create --dry-run=client -o json` makes of each of them.
    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        let text = |text: &str| Ok(Scalar::Text(text.into()));
        let whole = |value: i64| Ok(Scalar::Number(value.into()));
        let float = |value: f64| Ok(Scalar::Number(Number::from_f64(value).unwrap()));
        let cases = [
            ("yes", Ok(Scalar::Bool(true))),
            ("y", Ok(Scalar::Bool(true))),
            ("NO", Ok(Scalar::Bool(false))),
            ("nO", text("nO")),
            ("off", Ok(Scalar::Bool(false))),
            ("~", Ok(Scalar::Null)),
            ("012", whole(10)),
            ("0o12", whole(10)),
            ("0x1F", whole(31)),
            ("0b11", whole(3)),
            ("1_000", whole(1000)),
            ("+5", whole(5)),
            ("-5", whole(-5)),
            ("09", whole(9)),
            ("1e3", whole(1000)),
            ("2.0", whole(2)),
            ("2.5", float(2.5)),
            (".5", float(0.5)),
            ("-.5", float(-0.5)),
            ("1:30", text("1:30")),
            ("2026-01-02", text("2026-01-02")),
            ("1.2.3", text("1.2.3")),
            ("500m", text("500m")),
            ("-", text("-")),
            ("+-5", text("+-5")),
            ("0x", text("0x")),
            ("1e999", text("1e999")),
            ("18446744073709551615", Ok(Scalar::Number(u64::MAX.into()))),
            (".inf", Err(NotFinite)),
        ];
        for (written, meant) in cases {
            assert_eq!(plain(written), meant, "{written}");
        }
    }
}
