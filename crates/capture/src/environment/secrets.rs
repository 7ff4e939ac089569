//! The values of an environment that are secrets in themselves: what must be found nowhere in a file that is handed on.

use super::{is_key_name, value};

/// Letters that a value has at least before it is looked for by itself: shorter ones are parts of ordinary words.
const WHOLE: usize = 8;
/// Letters that a value has at least before it is one worth hiding: `AUTH=1` switches something on.
const SHORTEST: usize = 4;
/// Bytes of a piece that is enough to know a secret again.
const PIECE: usize = 8;

/// A variable with a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether the value is unlike any ordinary word, so that it can be looked for wherever it stands.
    pub anywhere: bool,
}

impl Secret {
    /// The bytes to look for: the whole value, and of one that is unlike any word also each telling piece of it. A
    /// compressed file may hold a value in pieces, where a part of it stood before.
    pub fn pieces(&self) -> Vec<&[u8]> {
        let value = self.value.as_bytes();
        let pieces = value.windows(PIECE).filter(|piece| self.anywhere && is_mixed(piece));
        std::iter::once(value).chain(pieces).collect()
    }

    /// Whether a text still holds it, or a telling piece of it.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.pieces().iter().any(|piece| memchr::memmem::find(text, piece).is_some())
    }
}

/// Whether a piece has letters and digits, as random ones of this length nearly always do and words do not.
fn is_mixed(piece: &[u8]) -> bool {
    piece.iter().any(u8::is_ascii_digit) && piece.iter().any(u8::is_ascii_alphabetic)
}

/// The secrets among variables: those by name or by value as in [`keep`](super::keep), without the ones that name a
/// machine, a person, a session or a path, which no one can log in with.
pub fn secrets<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Secret> {
    let mut found: Vec<Secret> = variables.into_iter().filter_map(|(name, value)| secret(name, value)).collect();
    found.sort();
    found.dedup();
    found
}

fn secret(name: &str, value: &str) -> Option<Secret> {
    let looks = value::is_secret(name, value);
    let named = is_key_name(name, value) && !value::is_paths(value) && value.len() >= SHORTEST;
    let hidden = value.bytes().all(|byte| byte == super::MASK) || value.as_bytes().windows(PIECE).any(is_masked);
    let mixed = is_mixed(value.as_bytes());
    (!hidden && (looks || named)).then(|| Secret {
        name: name.to_owned(),
        value: value.to_owned(),
        anywhere: value.len() >= WHOLE && (looks || mixed),
    })
}

fn is_masked(piece: &[u8]) -> bool {
    piece.iter().all(|byte| *byte == super::MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> Option<bool> {
        secrets([(name, value)]).first().map(|secret| secret.anywhere)
    }

    #[test]
    fn only_what_lets_somebody_in_is_looked_for() {
        assert_eq!(told("HF_TOKEN", "hunter2-and-more"), Some(true));
        assert_eq!(told("PROXY", "http://u:hunter2@proxy:1"), Some(true));
        assert_eq!(told("DB_PASSWORD", "123456"), Some(false), "too short to be looked for by itself");
        for (name, value) in [
            ("USER", "alice"),
            ("SSH_AUTH_SOCK", "/tmp/ssh-XXXXabcd/agent.1"),
            ("XDG_SESSION_ID", "3456"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/home/u/key.json"),
            ("AUTH", "on"),
            ("HF_TOKEN", "xxxxxxxxxxxxxxxx"),
            ("HF_TOKEN", "hf_huntexxxxxxxxxxxx"),
            ("PATH", "/usr/bin"),
        ] {
            assert_eq!(told(name, value), None, "{name}");
        }
    }
}
