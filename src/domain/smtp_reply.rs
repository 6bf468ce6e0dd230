//! An SMTP reply as the relay wrote it: code, lines, enhanced code, queue id.
//!
//! Parsed from the whole lines that the wire hands up, and from the
//! `Diagnostic-Code` of a delivery report. The library's own parser knows
//! only codes whose second digit is 0 to 5; relays use others (571), and what
//! they mean is decided by the first digit all the same (RFC 5321, 4.2.1).

/// Lines kept of one reply; what follows is read and dropped.
pub const REPLY_LINES_MAX: usize = 64;
/// Longest queue id we believe in.
const QUEUE_ID_BYTES_MAX: usize = 100;

/// A complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Texts after the code, in order; at least one, perhaps empty.
    pub lines: Vec<String>,
}

impl Reply {
    /// Reads the lines of one reply, without their line ends: `250-a`,
    /// `250 b`. None if a line has no code, the codes differ, or the last
    /// line is not marked as the last.
    pub fn parse(raw: &[String]) -> Option<Reply> {
        let (last, _) = raw.split_last()?;
        if !is_final(last) {
            return None;
        }
        let code = code_of(last)?;
        let mut lines = Vec::with_capacity(raw.len());
        for line in raw {
            if code_of(line)? != code {
                return None;
            }
            lines.push(line.get(4..).unwrap_or_default().to_owned());
        }
        Some(Reply { code, lines })
    }

    /// From a code and a text in one piece.
    pub fn of(code: u16, text: &str) -> Reply {
        Reply {
            code,
            lines: vec![text.to_owned()],
        }
    }

    /// 2 for success, 3 for "go on", 4 for "later", 5 for "no".
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// The enhanced status code (RFC 3463) of the first line that starts with
    /// one.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.lines.iter().find_map(|line| Enhanced::parse(line))
    }

    /// All lines as one, without enhanced codes.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let line = match Enhanced::parse(line) {
                Some(_) => line.split_once(' ').map_or("", |(_, rest)| rest),
                None => line,
            };
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(line.trim());
        }
        out
    }

    /// The relay's name for an accepted message: what stands after `queued
    /// as` or `id=`, before `Message accepted`, or the only word after `Ok`.
    pub fn queue_id(&self) -> Option<String> {
        let text = self.text();
        let lower = text.to_ascii_lowercase();
        let after = |mark: &str| {
            lower
                .find(mark)
                .and_then(|at| text[at + mark.len()..].split_whitespace().next())
        };
        let word = after("queued as ")
            .or_else(|| after("id="))
            .or_else(|| {
                let before = text[..lower.find(" message accepted")?].trim();
                (!before.contains(' ')).then_some(before)
            })
            .or_else(|| {
                let rest = text.get(..3).filter(|ok| ok.eq_ignore_ascii_case("ok "))?;
                let word = text[rest.len()..].trim();
                (!word.contains(' ') && word.contains(|c: char| c.is_ascii_digit())).then_some(word)
            })?;
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let clean = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        (!word.is_empty() && word.len() <= QUEUE_ID_BYTES_MAX && word.chars().all(clean))
            .then(|| word.to_owned())
    }
}

/// The code a reply line starts with.
pub fn code_of(line: &str) -> Option<u16> {
    let bytes = line.as_bytes();
    let mark = bytes.get(3).copied().unwrap_or(b' ');
    if bytes.len() < 3 || !bytes[..3].iter().all(u8::is_ascii_digit) || !b" -".contains(&mark) {
        return None;
    }
    line[..3]
        .parse()
        .ok()
        .filter(|code| (200..600).contains(code))
}

/// Whether this line ends its reply.
pub fn is_final(line: &str) -> bool {
    line.as_bytes().get(3) != Some(&b'-')
}

/// `5.1.1`: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    pub class: u16,
    pub subject: u16,
    pub detail: u16,
}

impl Enhanced {
    /// Reads a code at the very start of a text.
    pub fn parse(text: &str) -> Option<Enhanced> {
        let word = text.split([' ', '\t']).next()?;
        let word = word.trim_end_matches([':', ',', ';']);
        let mut parts = word.split('.').map(|part| {
            let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        });
        let code = Enhanced {
            class: parts.next()??,
            subject: parts.next()??,
            detail: parts.next()??,
        };
        (parts.next().is_none() && matches!(code.class, 2 | 4 | 5)).then_some(code)
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(raw: &str) -> Option<Reply> {
        let lines: Vec<String> = raw.lines().map(str::to_owned).collect();
        Reply::parse(&lines)
    }

    #[test]
    fn replies_are_whole_or_nothing() {
        assert_eq!(reply("250 fine").unwrap(), Reply::of(250, "fine"));
        assert_eq!(reply("250").unwrap(), Reply::of(250, ""));
        assert_eq!(reply("571 5.7.1 no").unwrap().code, 571);
        assert_eq!(reply("250-a\n250 b").unwrap().lines, ["a", "b"]);
        for odd in [
            "",
            "25",
            "2500 x",
            "abc",
            "250-a",
            "250-a\n550 b",
            "950 x",
            "25x ok",
            "é50 ok",
        ] {
            assert_eq!(reply(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_enhanced_code_is_the_first_one_at_the_start_of_a_line() {
        for (raw, code) in [
            ("550 5.1.1 gone", Some("5.1.1")),
            ("550-see 4.2.1 of the manual\n550 5.7.26 no", Some("5.7.26")),
            ("421 4.7.28: slow down", Some("4.7.28")),
            ("550 5.7.515 denied", Some("5.7.515")),
            ("550 10.0.0.1 is listed", None),
            ("550 5.1", None),
            ("550 3.1.1 what", None),
            ("550 5.1.1234 what", None),
        ] {
            let found = reply(raw).unwrap().enhanced().map(|e| e.to_string());
            assert_eq!(found.as_deref(), code, "{raw}");
        }
        let gmail = reply("550-5.7.26 This mail is\n550 5.7.26 unauthenticated").unwrap();
        assert_eq!(gmail.text(), "This mail is unauthenticated");
    }

    proptest! {
        #[test]
        fn no_answer_makes_us_stumble(lines in proptest::collection::vec("([245][0-9]{2}[ -])?(queued as |id=|ok )?\\PC{0,20}", 0..4)) {
            if let Some(reply) = Reply::parse(&lines) {
                prop_assert!((200..600).contains(&reply.code));
                let _ = (reply.text(), reply.enhanced(), reply.queue_id());
            }
        }
    }

    #[test]
    fn queue_ids_are_found_where_relays_put_them() {
        for (raw, id) in [
            ("250 2.0.0 Ok: queued as 4F2", Some("4F2")),
            ("250 2.0.0 OK queued as 4F2.", Some("4F2")),
            (
                "250 OK id=1tABcd-000000004Ju-1xYz",
                Some("1tABcd-000000004Ju-1xYz"),
            ),
            (
                "250 2.0.0 4AMGb1x2012345 Message accepted for delivery",
                Some("4AMGb1x2012345"),
            ),
            (
                "250 Ok 0102018f-aaaa-bbbb-000000",
                Some("0102018f-aaaa-bbbb-000000"),
            ),
            ("250 2.0.0 OK", None),
            ("250 Ok, thank you", None),
            ("250 queued as <script>", Some("script")),
            ("250", None),
        ] {
            assert_eq!(reply(raw).unwrap().queue_id().as_deref(), id, "{raw}");
        }
    }
}
