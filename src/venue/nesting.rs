//! A bound on how deep a venue's JSON may nest, checked before it is parsed: the parser skips what it does not know by
//! recursion, and a message of brackets alone would run the stack out and end the process. Called by the JSON readers
//! of every venue. Pure.

/// Deepest nesting taken; the deepest message that a venue documents has six levels.
const DEPTH_MAX: usize = 64;
/// A text with no more brackets than this cannot nest deeper than the stack of any thread bears: books pass by this.
const BRACKETS_FREE: usize = 512;

/// Whether the text may be given to the parser. Texts inside quotes do not count.
pub fn is_shallow(text: &[u8]) -> bool {
    let brackets = text.iter().filter(|&&byte| byte == b'[' || byte == b'{').count();
    brackets <= BRACKETS_FREE || deepest(text) <= DEPTH_MAX
}

/// Deepest nesting of brackets outside quotes; of a text that is not JSON at least the depth that a parser would reach.
fn deepest(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_is_taken_and_deep_is_not() {
        let wide = format!("[{}]", vec![r#"["1.0","2.0"]"#; 10_000].join(","));
        assert!(is_shallow(wide.as_bytes()));
        let deep = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        assert!(is_shallow(&deep(DEPTH_MAX)));
        assert!(!is_shallow(&deep(BRACKETS_FREE + 1)));
    }

    #[test]
    fn brackets_in_quotes_neither_count_nor_hide_others() {
        let quoted = format!(r#"{{"a":"{}"}}"#, r#"\"["#.repeat(BRACKETS_FREE));
        assert!(is_shallow(quoted.as_bytes()));
        assert!(!is_shallow(r#"["]",{"}":"#.repeat(BRACKETS_FREE).as_bytes()));
        assert!(!is_shallow(r#"["\"]","#.repeat(BRACKETS_FREE + 1).as_bytes()));
    }
}
