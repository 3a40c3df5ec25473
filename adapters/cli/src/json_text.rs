//! JSON text on one line or on several, with every number and key exactly as it was written.
//!
//! Only the space between tokens changes, so nothing goes through floating point. The text must
//! be valid JSON.

use console::Style;

/// The text on one line, without space between tokens.
pub(crate) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in tokens(text) {
        out.push_str(token);
    }
    out
}

/// The text over several lines, two spaces a level; keys are coloured where stdout has colours.
pub(crate) fn pretty(text: &str) -> String {
    let key_style = Style::new().cyan();
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut tokens = tokens(text).peekable();
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" => {
                out.push_str(token);
                if let Some(close) = tokens.next_if(|next| matches!(*next, "}" | "]")) {
                    out.push_str(close);
                } else {
                    depth += 1;
                    begin_line(&mut out, depth);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                begin_line(&mut out, depth);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                begin_line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            key if tokens.peek() == Some(&":") => {
                out.push_str(&key_style.apply_to(key).to_string());
            }
            value => out.push_str(value),
        }
    }
    out
}

fn begin_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Strings, numbers, words and marks, without the space between them.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let len = match rest.bytes().next()? {
            b'"' => string_len(rest),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            _ => {
                let is_end = |c: char| "{}[],:\" \t\n\r".contains(c);
                rest.find(is_end).unwrap_or(rest.len())
            }
        };
        let (token, behind) = rest.split_at(len);
        rest = behind;
        Some(token)
    })
}

/// The bytes of the string that `text` begins with, both quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{ \"a\\\"b\" : [1.10, 12345678901234567890123, {}, [ ]],\n\t\
        \"ü\": \"x: {y}\", \"n\":null}";

    #[test]
    fn compact_keeps_every_token_as_it_is() {
        let compact = compact(TEXT);
        let expected = r#"{"a\"b":[1.10,12345678901234567890123,{},[]],"ü":"x: {y}","n":null}"#;
        assert_eq!(compact, expected);
        assert_eq!(super::compact(" 7 "), "7");
    }

    #[test]
    fn pretty_says_the_same_over_lines() {
        let pretty = console::strip_ansi_codes(&pretty(TEXT)).into_owned();
        let expected = "{\n  \"a\\\"b\": [\n    1.10,\n    12345678901234567890123,\n    {},\n    []\n  \
            ],\n  \"ü\": \"x: {y}\",\n  \"n\": null\n}";
        assert_eq!(pretty, expected);
        assert_eq!(compact(&pretty), compact(TEXT));
        assert_eq!(super::pretty("{}"), "{}");
        assert_eq!(super::pretty("\"text\""), "\"text\"");
    }
}
